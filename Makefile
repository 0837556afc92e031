# What a change goes through before it is proposed is `make ci`.
.PHONY: build test race lint fmt fuzz conformance crash seeded bench ci

build: ## the program, in bin/thalweg
	CGO_ENABLED=0 go build -trimpath -o bin/thalweg ./cmd/thalweg

test: ## all Go tests
	go test ./...

race: ## all Go tests under the race detector
	go test -race ./...

lint: ## go vet and staticcheck
	go vet ./...
	go -C bench vet ./...
	go -C test/conformance/go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...

fmt: ## format the tree
	gofmt -w $$(git ls-files '*.go')

fuzz: ## every fuzzer in turn, FUZZ_SECONDS in all
	.ci/fuzz $${FUZZ_SECONDS:-60}

conformance: ## real clients in other languages against the real program
	./test/conformance/run.sh

crash: ## kill -9 under load, again and again
	go test -timeout 20m ./test/crash -cycles 50

seeded: ## bugs put in on purpose, each of which a test must find
	go test -timeout 20m ./test/seeded -apply

bench: ## the whole process against the floor
	go -C bench run ./streams

ci: ## what the continuous integration runs
	.ci/run
