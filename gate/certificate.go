package gate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"path"
	"slices"
	"time"

	"github.com/thalweg/thalweg/internal/vfs"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 397 * 24 * time.Hour // the longest that browsers and Apple's TLS accept
	renewBefore   = 30 * 24 * time.Hour
)

// SelfSigned returns a TLS configuration whose certificate is kept in dir:
// made on first start with an authority of its own, and made anew when it has
// less than 30 days left or hosts has a name that it lacks. localhost and the
// loopback addresses are always among its names. now is the time of checking.
//
// The authority's certificate, which clients are to trust, is at the returned
// path: ca.pem. The leaf and the key are tls.crt and tls.key; the authority's
// own key is in ca.key, and signs nothing but leaves. The authority outlives
// renewals, so clients need not be told of them.
//
// Only their owner can read the keys.
func SelfSigned(fsys vfs.FS, dir string, now time.Time, hosts []string) (*tls.Config, string, error) {
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, "", fmt.Errorf("folder of certificates: %w", err)
	}
	d := certDir{fsys, dir}
	names := append([]string{"localhost", "127.0.0.1", "::1"}, hosts...)
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.Sort(names)
	names = slices.Compact(names)
	ca := path.Join(dir, "ca.pem")
	authority, signer, err := d.authority(now)
	if err != nil {
		return nil, "", err
	}
	leaf, err := d.leaf(now, authority, signer, names)
	if err != nil {
		return nil, "", err
	}
	return &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}, ca, nil
}

// certDir is the folder of certificates.
type certDir struct {
	fs  vfs.FS
	dir string
}

// authority loads the authority, or makes one.
func (d certDir) authority(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	pair, err := d.load("ca.pem", "ca.key")
	switch {
	case err == nil && now.Before(pair.Leaf.NotAfter.Add(-leafLife)) && pair.Leaf.IsCA:
		if key, ok := pair.PrivateKey.(*ecdsa.PrivateKey); ok {
			return pair.Leaf, key, nil
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "thalweg local authority", Organization: []string{"thalweg"}},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	made, err := d.make("ca.pem", "ca.key", template, template, key, key)
	return made, key, err
}

// leaf loads the server's certificate, or makes one.
func (d certDir) leaf(now time.Time, authority *x509.Certificate, signer *ecdsa.PrivateKey, names []string) (tls.Certificate, error) {
	pair, err := d.load("tls.crt", "tls.key")
	if err == nil && serves(pair.Leaf, authority, now, names) {
		return pair, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: names[len(names)-1], Organization: []string{"thalweg"}},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(leafLife - time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	made, err := d.make("tls.crt", "tls.key", template, authority, key, signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{made.Raw}, PrivateKey: key, Leaf: made}, nil
}

// serves reports whether a certificate can go on being used.
func serves(leaf, authority *x509.Certificate, now time.Time, names []string) bool {
	if now.After(leaf.NotAfter.Add(-renewBefore)) || now.Before(leaf.NotBefore) || leaf.CheckSignatureFrom(authority) != nil {
		return false
	}
	return !slices.ContainsFunc(names, func(name string) bool { return leaf.VerifyHostname(name) != nil })
}

// make signs a certificate and writes it and its key, the key first: a
// certificate without its key would be trusted in vain.
func (d certDir) make(certName, keyName string, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", certName, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", keyName, err)
	}
	// Removed first, so that a crash in between leaves no certificate beside
	// the key of another.
	if err := d.fs.Remove(path.Join(d.dir, certName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace %s: %w", certName, err)
	}
	if err := d.fs.SyncDir(d.dir); err != nil {
		return nil, fmt.Errorf("sync folder of %s: %w", certName, err)
	}
	if err := d.write(keyName, &pem.Block{Type: "PRIVATE KEY", Bytes: secret}, true); err != nil {
		return nil, err
	}
	if err := d.write(certName, &pem.Block{Type: "CERTIFICATE", Bytes: der}, false); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// load reads a certificate and its key. It wraps fs.ErrNotExist when either is
// not there.
func (d certDir) load(certName, keyName string) (tls.Certificate, error) {
	cert, err := d.read(certName)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := d.read(keyName)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s do not fit: %w (remove both to have them made anew)", certName, keyName, err)
	}
	return pair, nil
}

const maxPEM = 64 << 10

func (d certDir) read(name string) ([]byte, error) {
	f, err := d.fs.Open(path.Join(d.dir, name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("size of %s: %w", name, err)
	}
	if size > maxPEM {
		return nil, fmt.Errorf("%s is no certificate or key: %d bytes", name, size)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return b, nil
}

// write makes a file durable under its name, by way of another name.
func (d certDir) write(name string, block *pem.Block, private bool) error {
	temp := path.Join(d.dir, name+".new")
	create := d.fs.Create
	if private {
		create = d.fs.CreatePrivate
	}
	f, err := create(temp)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	_, err = f.WriteAt(pem.EncodeToMemory(block), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := d.fs.Rename(temp, path.Join(d.dir, name)); err != nil {
		return fmt.Errorf("rename %s: %w", name, err)
	}
	if err := d.fs.SyncDir(d.dir); err != nil {
		return fmt.Errorf("sync folder of %s: %w", name, err)
	}
	return nil
}
