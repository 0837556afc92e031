package catalog

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/thalweg/thalweg/flow"
)

// notebook is a part that keeps its commands, one a line.
type notebook struct{ text string }

func (n *notebook) Apply(_ uint64, cmd []byte) any {
	n.text += string(cmd) + "\n"
	return len(n.text)
}

// Capture returns the text as it is now: strings do not change.
func (n *notebook) Capture() io.WriterTo { return page(n.text) }

func (n *notebook) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	n.text = string(b)
	return err
}

type page string

func (p page) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, string(p))
	return int64(n), err
}

// A part's commands share the log with the catalog's, and its state the
// snapshot, whatever its size; a captured state is the one of that moment.
func TestPart(t *testing.T) {
	for _, size := range []int{1, chunkBytes - 1, chunkBytes, 3*chunkBytes + 7} {
		c, l := attached()
		n := new(notebook)
		propose := c.Join("notes", n)
		if got, err := propose(t.Context(), []byte(strings.Repeat("x", size))); err != nil || got != size+1 {
			t.Fatalf("%v %v", got, err)
		}
		if _, err := c.Propose(t.Context(), Command{[]Change{{Key: Key{"a", "b"}, Value: []byte("v")}}}); err != nil {
			t.Fatal(err)
		}
		captured, want := c.Capture(), n.text
		if _, err := propose(t.Context(), []byte("later")); err != nil {
			t.Fatal(err)
		}
		var first, second bytes.Buffer
		for _, b := range []*bytes.Buffer{&first, &second} {
			if wrote, err := captured.WriteTo(b); err != nil || wrote != int64(b.Len()) {
				t.Fatalf("wrote %d of %d, %v", wrote, b.Len(), err)
			}
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatal("one capture, two snapshots")
		}

		restored, copied := New(), new(notebook)
		restored.Join("notes", copied)
		if err := restored.Restore(first.Bytes()); err != nil {
			t.Fatal(err)
		}
		if copied.text != want {
			t.Errorf("restored %d bytes, want %d", len(copied.text), len(want))
		}
		if d, ok := restored.View().Get(Key{"a", "b"}); !ok || string(d.Value) != "v" {
			t.Errorf("document %v %v", d, ok)
		}
		restored.Apply(flow.Pos(3), l.cmds[2])
		if copied.text != n.text {
			t.Error("snapshot and tail differ from the state")
		}
		if err := New().Restore(first.Bytes()); err == nil || !strings.Contains(err.Error(), `"notes"`) {
			t.Errorf("without the part: %v", err)
		}
		for _, cut := range []int{1, 2, first.Len() / 2, first.Len() - 5} {
			broken := New()
			broken.Join("notes", new(notebook))
			if err := broken.Restore(first.Bytes()[:first.Len()-cut]); err == nil {
				t.Errorf("a snapshot without its last %d bytes is restored", cut)
			}
		}
	}
	c, _ := attached()
	if _, err := c.Join("big", new(notebook))(t.Context(), make([]byte, MaxCommand+1)); err == nil {
		t.Error("a command of any size is taken")
	}
}
