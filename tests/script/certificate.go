package script

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// makeCertificate makes an authority, or with hosts a server's certificate, by itself or by one that
// the script made before. It lasts a day.
func makeCertificate(_ context.Context, _ *world, ts *testscript.TestScript, args []string) (string, error) {
	values, others := pairs(args)
	name, hosts := others[0], others[1:]
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("cannot make a key: %w", err)
	}
	template := certificateTemplate(name, hosts)
	signer, by, above := template, key, []byte(nil)
	if issuer := values["by"]; issuer != "" {
		if signer, by, above, err = readSigner(ts, issuer); err != nil {
			return "", err
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, key.Public(), by)
	if err != nil {
		return "", fmt.Errorf("cannot make certificate %s: %w", name, err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("cannot encode key of %s: %w", name, err)
	}
	chain := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), above...)
	return "", writeEncoded(ts, map[string][]byte{
		name + ".crt": chain, name + ".key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	})
}

func certificateTemplate(name string, hosts []string) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true,
	}
	if len(hosts) == 0 {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
		return template
	}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	return template
}

// readSigner returns a certificate of the script, its key, and what a server sends of it: nothing of
// one that clients know as an authority, the rest as it is.
func readSigner(ts *testscript.TestScript, name string) (*x509.Certificate, *ecdsa.PrivateKey, []byte, error) {
	chain := []byte(ts.ReadFile(name + ".crt"))
	pair, err := tls.X509KeyPair(chain, []byte(ts.ReadFile(name+".key")))
	if err != nil {
		return nil, nil, nil, fmt.Errorf("cannot sign by %s: %w", name, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, nil, fmt.Errorf("cannot sign by %s: its key is a %T", name, pair.PrivateKey)
	}
	if pair.Leaf.Subject.String() == pair.Leaf.Issuer.String() {
		chain = nil
	}
	return pair.Leaf, key, chain, nil
}

// writeEncoded writes files into the script's directory, and each once more in base64.
func writeEncoded(ts *testscript.TestScript, contents map[string][]byte) error {
	for name, content := range contents {
		if err := os.WriteFile(ts.MkAbs(name), content, 0o600); err != nil {
			return err
		}
		encoded := base64.StdEncoding.EncodeToString(content)
		if err := os.WriteFile(ts.MkAbs(name+".b64"), []byte(encoded), 0o600); err != nil {
			return err
		}
	}
	return nil
}
