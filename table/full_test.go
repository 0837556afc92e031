package table

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thalweg/thalweg/fault"
	"github.com/thalweg/thalweg/internal/vfs"
	"github.com/thalweg/thalweg/table/attr"
)

// A full disk refuses writes by name and says what to do; reads go on, and
// writes do once there is room, with all that was acknowledged.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem(64 << 20)
		tables, log := open(t, fs)
		create(t, tables, ofText("k"))
		ballast, err := fs.Create("/data/ballast")
		if err != nil {
			t.Fatal(err)
		}
		for block := make([]byte, 64<<10); err == nil; {
			_, err = ballast.WriteAt(block, fileSize(t, ballast))
		}
		pad := attr.String(strings.Repeat("x", 100<<10))
		put := func(n int) error {
			_, err := tables.Write(t.Context(), Op{Kind: Put, Table: leases, Item: attr.Map{"k": attr.String("a"), "n": attr.Whole(int64(n)), "pad": pad}})
			return err
		}
		n := 0
		for err = nil; err == nil; n++ {
			if err = put(n); n > 1000 {
				t.Fatal("the disk does not fill")
			}
		}
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "disk is full") || !strings.Contains(err.Error(), "Free some space") {
			t.Errorf("a full disk is told as %v", err)
		}
		last := func(want int) {
			t.Helper()
			item, _, err := tables.Get(leases, key("a"))
			if err != nil || !attr.Equal(item["n"], attr.Whole(int64(want))) {
				t.Errorf("n is %v, want %d; %v", item["n"], want, err)
			}
		}
		last(n - 2)
		if err := ballast.Close(); err != nil {
			t.Fatal(err)
		}
		if err := fs.Remove("/data/ballast"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if err := put(5000); err != nil {
			t.Fatal(err)
		}
		last(5000)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		tables, log = open(t, fs)
		last(5000)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func fileSize(t *testing.T, f vfs.File) int64 {
	t.Helper()
	n, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	return n
}
