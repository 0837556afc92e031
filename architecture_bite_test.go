package thalweg_test

import (
	"strings"
	"testing"
)

// TestArchitectureBites breaks each rule once and wants the sentence, and
// shows beside it what the rule lets pass.
func TestArchitectureBites(t *testing.T) {
	const doc = "// Package x hides how things are kept and never says a word about anything else at all.\n"
	long := doc + "package x\n" + strings.Repeat("\n", 800)
	for _, c := range []struct {
		name  string
		files []source
		want  string // a part of the only sentence; empty: no offence
	}{
		{"a lawful import", []source{{"stream/a.go", doc + `package stream; import _ "github.com/thalweg/thalweg/shardlog"`}}, ""},
		{"an unlawful import", []source{{"stream/a.go", doc + `package stream; import _ "github.com/thalweg/thalweg/gate"`}},
			"stream/a.go imports gate: stream may import only catalog, fault, flow, shardlog"},
		{"a room that may import nothing", []source{{"flow/a.go", doc + `package flow; import _ "github.com/thalweg/thalweg/fault"`}},
			"flow may import only nothing of ours"},
		{"an api reaches another's room", []source{{"api/kinesis/a.go", doc + `package kinesis; import _ "github.com/thalweg/thalweg/query"`}},
			"api/kinesis may import only fault, flow, gate, stream"},
		{"an unknown room", []source{{"attic/a.go", doc + `package attic; import _ "github.com/thalweg/thalweg/flow"`}},
			`"attic", which has no line in the table`},
		{"cmd past server", []source{{"cmd/thalweg/a.go", doc + `package main; import _ "github.com/thalweg/thalweg/shardlog/journal"`}},
			"cmd may import only aggregation, server"},
		{"internal looks out", []source{{"internal/a/a.go", doc + `package a; import _ "github.com/thalweg/thalweg/flow"`}},
			"internal packages import nothing of ours"},
		{"internal is for all", []source{{"catalog/a.go", doc + `package catalog; import _ "github.com/thalweg/thalweg/internal/vfs"`}}, ""},
		{"a nested package from outside", []source{{"stream/a.go", doc + `package stream; import _ "github.com/thalweg/thalweg/shardlog/journal"`}},
			"visible only within shardlog and to server"},
		{"a nested package from its sister's house", []source{{"shardlog/logtest/a.go", doc + `package logtest; import _ "github.com/thalweg/thalweg/shardlog/journal/segment"`}},
			"visible only within shardlog/journal and to server"},
		{"a nested package from home", []source{{"shardlog/journal/a.go", doc + `package journal; import _ "github.com/thalweg/thalweg/shardlog/journal/segment"`}}, ""},
		{"server sees all", []source{{"server/a.go", doc + `package server; import _ "github.com/thalweg/thalweg/shardlog/journal/segment"`}}, ""},
		{"wire is lent to api", []source{{"api/kinesis/a.go", doc + `package kinesis; import _ "github.com/thalweg/thalweg/gate/wire"`}}, ""},
		{"sigv4 is not", []source{{"api/kinesis/a.go", doc + `package kinesis; import _ "github.com/thalweg/thalweg/gate/sigv4"`}},
			"visible only within gate and to server"},
		{"tests import what they need", []source{{"flow/a.go", doc + "package flow"}, {"flow/a_test.go", `package flow; import _ "github.com/thalweg/thalweg/server"`}}, ""},
		{"a pure package with os", []source{{"gate/sigv4/a.go", doc + `package sigv4; import _ "os"`}}, "gate/sigv4 reaches os through gate/sigv4: it is pure"},
		{"a pure package with net/http", []source{{"flow/a.go", doc + `package flow; import _ "net/http"`}}, "flow reaches net/http"},
		{"a pure package with slog", []source{{"fault/a.go", doc + `package fault; import _ "log/slog"`}}, "fault reaches log/slog"},
		{"a pure package with net/url", []source{{"gate/sigv4/a.go", doc + `package sigv4; import _ "net/url"`}}, ""},
		{"a pure package by a detour", []source{{"gate/wire/a.go", doc + `package wire; import _ "github.com/thalweg/thalweg/internal/x"`}, {"internal/x/a.go", doc + `package x; import _ "sync"`}},
			"gate/wire reaches sync through internal/x"},
		{"no package comment", []source{{"flow/a.go", "package flow"}}, "package flow has no package comment"},
		{"a long file", []source{{"flow/a.go", long}}, "flow/a.go has 802 lines"},
		{"init", []source{{"flow/a.go", doc + "package flow\nfunc init() {}"}}, "flow/a.go:3 has an init function"},
		{"a constant in effect", []source{{"flow/a.go", doc + "package flow\nvar errX = errors.New(``)\nvar table = []int{1}\nfunc f() { table := 1; table = 2; _ = table }"}}, ""},
		{"a variable that changes", []source{{"flow/a.go", doc + "package flow\nvar n int"}, {"flow/b.go", "package flow\nfunc f() { n++ }"}}, "flow/b.go:2 changes package variable n"},
		{"a table that changes", []source{{"flow/a.go", doc + "package flow\nvar m = map[int]int{}\nfunc f() { m[1] = 2 }"}}, "changes package variable m"},
		{"a lock", []source{{"flow/a.go", doc + "package flow\nvar mu sync.Mutex"}}, "package variable mu is a sync.Mutex"},
		{"a skipped test", []source{{"flow/a.go", doc + "package flow"}, {"flow/a_test.go", "package flow\nfunc f() { t.Skip() }"}}, "flow/a_test.go:2 skips a test"},
		{"a sleeping test", []source{{"flow/a.go", doc + "package flow"}, {"flow/a_test.go", "package flow\nfunc f() { time.Sleep(1) }"}}, "flow/a_test.go:2 sleeps in a test"},
		{"a test in a bubble", []source{{"flow/a.go", doc + "package flow"}, {"flow/a_test.go", "package flow\nimport _ \"testing/synctest\"\nfunc f() { time.Sleep(1) }"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := check(c.files)
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("offences %q, want none", got)
			case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
				t.Errorf("offences %q, want one with %q", got, c.want)
			}
		})
	}
}
