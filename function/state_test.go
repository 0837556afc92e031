package function

import (
	"archive/zip"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/thalweg/thalweg/catalog"
	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/shardlog/journal"
)

// open opens functions over the files of fs.
func open(t testing.TB, fs vfs.FS) (*Functions, *journal.Journal) {
	t.Helper()
	return openWith(t, fs, func(*Config) {})
}

func openWith(t testing.TB, fs vfs.FS, change func(*Config)) (*Functions, *journal.Journal) {
	t.Helper()
	c := catalog.New()
	cfg := Config{Catalog: c, FS: fs, Dir: "/data/functions"}
	change(&cfg)
	f := New(cfg)
	log, err := journal.Open(context.Background(), journal.Config{FS: fs, Dir: "/data", Machine: c, SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c.Attach(log)
	return f, log
}

const account, region = "000000000000", "us-east-1"

// The ways to name a function that AWS documents for FunctionName.
func TestResolveRef(t *testing.T) {
	for _, c := range []struct {
		function, qualifier string
		want                string // an ARN
		kind                fault.Kind
	}{
		{"f", "", "arn:aws:lambda:us-east-1:000000000000:function:f", 0},
		{"f:live", "", "arn:aws:lambda:us-east-1:000000000000:function:f:live", 0},
		{"f", "7", "arn:aws:lambda:us-east-1:000000000000:function:f:7", 0},
		{"f:7", "7", "arn:aws:lambda:us-east-1:000000000000:function:f:7", 0},
		{"f:$LATEST", "", "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST", 0},
		{"000000000000:function:f", "", "arn:aws:lambda:us-east-1:000000000000:function:f", 0},
		{"arn:aws:lambda:us-east-1:000000000000:function:f:live", "", "arn:aws:lambda:us-east-1:000000000000:function:f:live", 0},
		{"f:7", "8", "", fault.Invalid},
		{"", "", "", fault.Constraint},
		{"a/b", "", "", fault.Constraint},
		{"f:", "", "", fault.Constraint},
		{"f", "a b", "", fault.Constraint},
		{"arn:aws:kinesis:us-east-1:000000000000:stream/s", "", "", fault.Constraint},
		{"arn:aws:lambda:us-east-1:111111111111:function:f", "", "", fault.Denied},
		{"arn:aws:lambda:eu-west-1:000000000000:function:f", "", "", fault.NotFound},
	} {
		ref, err := resolveRef(account, region, c.function, c.qualifier)
		if fault.Of(err) != c.kind || err == nil && ref.ARN() != c.want {
			t.Errorf("%q %q: %s, %v", c.function, c.qualifier, ref.ARN(), err)
		}
	}
}

// A definition is changed only by who has seen it, and survives a restart from
// the journal and from a snapshot.
func TestDefine(t *testing.T) {
	fs := vfs.NewMem(0)
	f, log := open(t, fs)
	name := Name{account, region, "f"}
	put := func(version uint64, document string, versions ...versionChange) bool {
		t.Helper()
		got, err := ask[defined](t.Context(), f, (&define{name, version, document, versions}).append())
		if err != nil {
			t.Fatal(err)
		}
		return !got.conflict
	}
	const document = `{"name":{"Account":"000000000000","Region":"us-east-1","Function":"f"},"latest":{"runtime":"provided.al2023"},"published":1}`
	if put(1, document) {
		t.Error("one that does not exist was changed")
	}
	if !put(0, document, versionChange{1, `{"number":1,"runtime":"nodejs22.x"}`}, versionChange{2, `{"number":2}`}) || put(0, document) {
		t.Error("made twice, or not at all")
	}
	if !put(f.byName[name].version, document, versionChange{2, ""}) {
		t.Error("its own version conflicts")
	}
	want := f.byName[name]
	if want.find("", 0).Runtime != "provided.al2023" || want.find("1", 0).Runtime != "nodejs22.x" || want.find("2", 0) != nil {
		t.Errorf("has %+v", want)
	}
	var snapshot bytes.Buffer
	if _, err := (machine{f}).Capture().WriteTo(&snapshot); err != nil {
		t.Fatal(err)
	}
	other := New(Config{Catalog: catalog.New()})
	if err := (machine{other}).Restore(bytes.NewReader(snapshot.Bytes())); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, other.byName[name], cmp.AllowUnexported(entry{})); d != "" {
		t.Errorf("restored from a snapshot: %s", d)
	}
	for n := range snapshot.Len() {
		cut := New(Config{Catalog: catalog.New()})
		if err := (machine{cut}).Restore(bytes.NewReader(snapshot.Bytes()[:n])); err == nil {
			t.Fatalf("%d of %d bytes are taken for a snapshot", n, snapshot.Len())
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	again, log := open(t, fs)
	if d := cmp.Diff(want, again.byName[name], cmp.AllowUnexported(entry{})); d != "" {
		t.Errorf("recovered from the log: %s", d)
	}
	f = again
	if !put(want.version, "") || f.byName[name] != nil {
		t.Error("not deleted")
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzCommand(f *testing.F) {
	f.Add((&define{Name{"a", "r", "f"}, 7, "{}", []versionChange{{1, "{}"}, {2, ""}}}).append())
	f.Add((&accept{event{name: Name{"a", "r", "f"}, qualifier: "q", request: "id", context: "c", payload: "{}", accepted: 7}}).append())
	f.Add((&settle{id: 7}).append())
	f.Add((&settle{7, true, 1, 2, 3}).append())
	f.Fuzz(func(t *testing.T, cmd []byte) {
		c, err := readCommand(cmd)
		if err != nil {
			return
		}
		back := c.(interface{ append() []byte }).append()
		again, err := readCommand(back)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, again, cmp.AllowUnexported(define{}, versionChange{}, accept{}, event{}, settle{})); d != "" {
			t.Error(d)
		}
	})
}

// Whatever a snapshot's bytes are, they are refused or they are a state that
// is written as it was read.
func FuzzSnapshot(f *testing.F) {
	full := New(Config{Catalog: catalog.New()})
	for i, cmd := range [][]byte{
		(&define{Name{"a", "r", "f"}, 0, `{"name":{"Account":"a","Region":"r","Function":"f"},"reserved":3}`, []versionChange{{1, `{"number":1}`}}}).append(),
		(&accept{event{name: Name{"a", "r", "f"}, payload: "{}", accepted: 7}}).append(),
	} {
		(machine{full}).Apply(uint64(i+1), cmd)
	}
	var b bytes.Buffer
	if _, err := (machine{full}).Capture().WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		one := New(Config{Catalog: catalog.New()})
		if (machine{one}).Restore(bytes.NewReader(snapshot)) != nil {
			return
		}
		var first, second bytes.Buffer
		if _, err := (machine{one}).Capture().WriteTo(&first); err != nil {
			t.Fatal(err)
		}
		two := New(Config{Catalog: catalog.New()})
		if err := (machine{two}).Restore(bytes.NewReader(first.Bytes())); err != nil {
			t.Fatal(err)
		}
		if _, err := (machine{two}).Capture().WriteTo(&second); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("written as %q, then as %q", first.Bytes(), second.Bytes())
		}
	})
}

// Whatever an archive holds, nothing of it lands outside its folder.
func FuzzArchive(f *testing.F) {
	for _, name := range []string{"bootstrap", "a/b", "../x", "/x", "a//b/", "."} {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.Create(name)
		if err != nil {
			f.Fatal(err)
		}
		w.Write([]byte("x"))
		z.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		z, err := checkArchive(archive)
		if err != nil {
			return
		}
		parent := t.TempDir()
		_ = unpackAll(z, filepath.Join(parent, "in")) // it may fail; it may not escape
		names, err := os.ReadDir(parent)
		if err != nil || len(names) != 1 {
			t.Errorf("%v %v", names, err)
		}
	})
}
