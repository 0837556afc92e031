package function

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/thalweg/thalweg/internal/vfs"
)

// Bounds of archives, as AWS has them ("Lambda quotas": 50 MB zipped, 250 MB
// unzipped), and one of our own.
const (
	MaxArchive   = 50 << 20
	maxUnpacked  = 250 << 20
	maxArchived  = 100_000 // files
	archiveName  = ".zip"
	unpackedPerm = 0o755
)

// codes keeps archives in a folder under their SHA-256, and unpacks them where
// processes can see them.
type codes struct {
	fs   vfs.FS
	dir  string // of archives, in fs
	work string // of the operating system: what is unpacked, made anew with each run

	mu       sync.Mutex
	coming   map[string]int       // archives stored for a definition that is not there yet
	unpacked map[string]*unpacked // by SHA-256
}

// unpacked is an archive's files; ready is closed when they are there, or err
// says why not.
type unpacked struct {
	ready chan struct{}
	dir   string
	err   error
	users int // instances
}

func newCodes(fs vfs.FS, dir, work string) *codes {
	return &codes{fs: fs, dir: dir, work: work, coming: map[string]int{}, unpacked: map[string]*unpacked{}}
}

// check holds an archive against the bounds and looks at every name in it,
// before any of it is kept.
func checkArchive(archive []byte) (*zip.Reader, error) {
	if len(archive) > MaxArchive {
		return nil, invalid("Zipped size must be smaller than %d bytes", MaxArchive)
	}
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, invalid("Could not unzip uploaded file. Please check your file, then try to upload again.")
	}
	if len(z.File) > maxArchived {
		return nil, invalid("Could not unzip uploaded file: it holds more than %d files.", maxArchived)
	}
	var total uint64
	for _, f := range z.File {
		if !safeName(f.Name) {
			return nil, invalid("Could not unzip uploaded file: the name %.200q leads out of the function's folder.", f.Name)
		}
		if f.Mode()&iofs.ModeSymlink != 0 {
			if _, err := linkTarget(f); err != nil {
				return nil, invalid("Could not unzip uploaded file: the link %.200q leads out of the function's folder.", f.Name)
			}
		}
		if total += f.UncompressedSize64; f.UncompressedSize64 > maxUnpacked || total > maxUnpacked {
			return nil, invalid("Unzipped size must be smaller than %d bytes", maxUnpacked)
		}
	}
	if len(z.File) == 0 {
		return nil, invalid("Uploaded file must be a non-empty zip")
	}
	return z, nil
}

// safeName reports whether a name in an archive stays within its folder.
func safeName(name string) bool {
	return name != "" && !strings.ContainsAny(name, "\\\x00") && filepath.IsLocal(filepath.FromSlash(strings.TrimSuffix(name, "/")))
}

// linkTarget is where a link in an archive leads, within its folder.
func linkTarget(f *zip.File) (string, error) {
	in, err := f.Open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return "", err
	}
	target := filepath.FromSlash(string(b))
	if filepath.IsAbs(target) || !filepath.IsLocal(filepath.Join(filepath.Dir(filepath.FromSlash(f.Name)), target)) {
		return "", errors.New("the link leads out of the folder")
	}
	return target, nil
}

// store keeps an archive, durably when it returns. forget is called once a
// definition has it, or none will.
func (c *codes) store(archive []byte) (code Code, forget func(), err error) {
	sum := sha256.Sum256(archive)
	code = Code{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(archive))}
	c.mu.Lock()
	c.coming[code.SHA256]++
	c.mu.Unlock()
	forget = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.coming[code.SHA256]--; c.coming[code.SHA256] == 0 {
			delete(c.coming, code.SHA256)
		}
	}
	defer func() {
		if err != nil {
			forget()
			err = fmt.Errorf("store code: %w", err)
		}
	}()
	name := path.Join(c.dir, code.SHA256+archiveName)
	if f, err := c.fs.Open(name); err == nil {
		return code, forget, f.Close()
	}
	if err := c.fs.MkdirAll(c.dir); err != nil {
		return code, nil, err
	}
	temp := name + ".tmp-" + newID()
	if err := writeWhole(c.fs, temp, archive); err != nil {
		return code, nil, errors.Join(err, c.fs.Remove(temp))
	}
	if err := c.fs.Rename(temp, name); err != nil {
		return code, nil, err
	}
	return code, forget, c.fs.SyncDir(c.dir)
}

func writeWhole(fs vfs.FS, name string, b []byte) error {
	f, err := fs.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// read returns an archive.
func (c *codes) read(want string) ([]byte, error) {
	if len(want) != 2*sha256.Size || strings.Trim(want, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("%.100q is no SHA-256", want)
	}
	f, err := c.fs.Open(path.Join(c.dir, want+archiveName))
	if err != nil {
		return nil, fmt.Errorf("open code: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size > MaxArchive {
		return nil, fmt.Errorf("code %s has %d bytes: %w", want, size, err)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read code: %w", err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
		return nil, fmt.Errorf("code %s is damaged in the data folder: deploy the function again", want)
	}
	return b, nil
}

// folder returns the folder of an archive's files, unpacking it for the first
// who asks. It stays as long as leave is not called.
func (c *codes) folder(ctx context.Context, code Code) (dir string, leave func(), err error) {
	c.mu.Lock()
	u := c.unpacked[code.SHA256]
	mine := u == nil
	if mine {
		u = &unpacked{ready: make(chan struct{})}
		c.unpacked[code.SHA256] = u
	}
	u.users++
	c.mu.Unlock()
	leave = func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		u.users--
	}
	if mine {
		u.dir, u.err = c.unpack(code)
		if u.err != nil {
			c.mu.Lock()
			delete(c.unpacked, code.SHA256) // the next one tries again
			c.mu.Unlock()
		}
		close(u.ready)
	}
	select {
	case <-u.ready:
	case <-ctx.Done():
		leave()
		return "", nil, ctx.Err()
	}
	if u.err != nil {
		leave()
		return "", nil, u.err
	}
	return u.dir, leave, nil
}

// unpack writes an archive's files to a folder of their own.
func (c *codes) unpack(code Code) (dir string, err error) {
	archive, err := c.read(code.SHA256)
	if err != nil {
		return "", err
	}
	z, err := checkArchive(archive)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(c.work, "code", code.SHA256)
	if err := unpackAll(z, dir); err != nil {
		return "", fmt.Errorf("unpack code: %w", errors.Join(err, os.RemoveAll(dir)))
	}
	return dir, nil
}

func unpackAll(z *zip.Reader, dir string) error {
	if err := os.MkdirAll(dir, unpackedPerm); err != nil {
		return err
	}
	// Through a Root no link in the archive can lead out of the folder.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	left := int64(maxUnpacked) // what headers claim is not believed
	for _, f := range z.File {
		if err := unpackFile(root, f, &left); err != nil {
			return fmt.Errorf("%.200q: %w", f.Name, err)
		}
	}
	return nil
}

func unpackFile(root *os.Root, f *zip.File, left *int64) error {
	name := filepath.FromSlash(strings.TrimSuffix(f.Name, "/"))
	mode := f.Mode()
	if strings.HasSuffix(f.Name, "/") || mode.IsDir() {
		return root.MkdirAll(name, unpackedPerm)
	}
	if err := root.MkdirAll(filepath.Dir(name), unpackedPerm); err != nil {
		return err
	}
	if mode&iofs.ModeSymlink != 0 {
		target, err := linkTarget(f)
		if err != nil {
			return err
		}
		return root.Symlink(target, name)
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	// Archives made on other systems carry no permissions.
	perm := mode.Perm() | 0o644
	if path.Base(f.Name) == "bootstrap" {
		perm |= 0o111
	}
	out, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, perm)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, *left+1))
	if *left -= n; *left < 0 && err == nil {
		err = invalid("Unzipped size must be smaller than %d bytes", maxUnpacked)
	}
	return errors.Join(err, out.Close())
}

// clear empties the work folder of what an earlier run has left.
func (c *codes) clear() error {
	if err := os.RemoveAll(c.work); err != nil {
		return fmt.Errorf("clear functions' work folder: %w", err)
	}
	if err := os.MkdirAll(c.work, 0o700); err != nil {
		return fmt.Errorf("make functions' work folder: %w", err)
	}
	return nil
}

// sweep removes archives, and unpacked files, that no definition has and nobody
// uses. definitions is called with the lock held: what is no longer coming
// then is defined.
func (c *codes) sweep(definitions func() (used map[string]bool)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	used := definitions()
	var errs []error
	for sha, u := range c.unpacked {
		if u.users == 0 && !used[sha] {
			errs = append(errs, os.RemoveAll(u.dir))
			delete(c.unpacked, sha)
		}
	}
	names, err := c.fs.List(c.dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return errors.Join(errs...)
	}
	errs = append(errs, err)
	for _, name := range names {
		sha, _, _ := strings.Cut(name, ".")
		if c.coming[sha] == 0 && !used[sha] || c.coming[sha] == 0 && !strings.HasSuffix(name, archiveName) {
			errs = append(errs, c.fs.Remove(path.Join(c.dir, name)))
		}
	}
	return errors.Join(errs...)
}
