package registryd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"
)

// authority issues certificates for clients.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority writes the certificate of a new authority to path.
func newAuthority(t *testing.T, path string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), Subject: pkix.Name{CommonName: path},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return &authority{t: t, cert: cert, key: key}
}

func (a *authority) issue() *tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: "client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// visitor is a client that shows a certificate if it is asked for one.
type visitor struct {
	*http.Client
	asked bool
}

func newVisitor(t *testing.T, certificate *tls.Certificate, http2 bool) *visitor {
	v := new(visitor)
	transport := newTransport()
	transport.ForceAttemptHTTP2 = http2
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		v.asked = true
		if certificate == nil {
			return new(tls.Certificate), nil
		}
		return certificate, nil
	}
	v.Client = &http.Client{Transport: transport}
	t.Cleanup(v.CloseIdleConnections)
	return v
}

// status is that of an answer at /v2/, 0 if the handshake was refused.
func (v *visitor) status(t *testing.T, u *unit) int {
	t.Helper()
	response, err := v.Get(u.url("/v2/"))
	if err != nil {
		return 0
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Error(err)
	}
	return response.StatusCode
}

// TestClientCertificates asks for certificates in every way there is.
func TestClientCertificates(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.writeCertificate(time.Hour)
	own, foreign := newAuthority(t, u.path("own.pem")), newAuthority(t, u.path("foreign.pem"))
	good, bad := own.issue(), foreign.issue()
	u.configure(mutual(""))
	u.start()
	for _, test := range []struct {
		section         string
		none, good, bad int
		asked           bool
	}{
		{"", 200, 200, 200, false},
		{"clientcas: [DIR/own.pem]", 0, 200, 0, true},
		{"clientcas: [DIR/own.pem], clientauth: require-and-verify-client-cert", 0, 200, 0, true},
		{"clientcas: [DIR/own.pem], clientauth: verify-client-cert-if-given", 200, 200, 0, true},
	} {
		u.reload(mutual(test.section))
		for _, visit := range []struct {
			who         string
			certificate *tls.Certificate
			want        int
		}{{"without a certificate", nil, test.none}, {"with one", good, test.good}, {"with a foreign one", bad, test.bad}} {
			v := newVisitor(t, visit.certificate, true)
			if got := v.status(t, u); got != visit.want || v.asked != test.asked {
				t.Errorf("{%s}: a client %s: status %d, asked for a certificate: %t; want %d and %t",
					test.section, visit.who, got, v.asked, visit.want, test.asked)
			}
		}
	}
}

func mutual(clients string) string {
	return withHTTP(`addr: "127.0.0.1:0", tls: {` + strings.TrimSuffix("certificate: DIR/cert.pem, key: DIR/key.pem, "+clients, ", ") + "}")
}

// TestAuthoritiesChange changes who vouches for clients while their connections stay open: who
// is known as before notices nothing, and nobody else is served once the change is made.
func TestAuthoritiesChange(t *testing.T) {
	for _, protocol := range []struct {
		name  string
		http2 bool
	}{{"HTTP/1.1", false}, {"HTTP/2", true}} {
		t.Run(protocol.name, func(t *testing.T) {
			u := prepare(t, t.TempDir())
			u.writeCertificate(time.Hour)
			first, second := newAuthority(t, u.path("first.pem")), newAuthority(t, u.path("second.pem"))
			u.configure(mutual(""))
			u.start()
			anonymous := newVisitor(t, nil, protocol.http2)
			former, later := newVisitor(t, first.issue(), protocol.http2), newVisitor(t, second.issue(), protocol.http2)
			names := map[*visitor]string{anonymous: "anonymous", former: "former", later: "later"}
			check := func(when string, want map[*visitor]int) {
				t.Helper()
				for v, status := range want {
					if got := v.status(t, u); got != status {
						t.Errorf("%s: %s got %d, want %d", when, names[v], got, status)
					}
				}
			}
			check("at first", map[*visitor]int{anonymous: 200, former: 200, later: 200})
			u.reload(mutual("clientcas: [DIR/first.pem]"))
			const again = http.StatusMisdirectedRequest // all came before certificates were asked for
			check("with the first authority", map[*visitor]int{anonymous: again, former: again, later: again})
			check("anew", map[*visitor]int{anonymous: 0, former: 200, later: 0})
			u.reload(mutual("clientcas: [DIR/first.pem, DIR/second.pem]"))
			if !reusedConnection(t, former.Client, u.url("/v2/")) {
				t.Error("a client that is known as before had to open another connection")
			}
			check("with both", map[*visitor]int{anonymous: 0, former: 200, later: 200})
			u.reload(mutual("clientcas: [DIR/second.pem]"))
			check("with the second authority", map[*visitor]int{former: again, later: 200})
			check("anew", map[*visitor]int{anonymous: 0, former: 0, later: 200})
		})
	}
}

// TestPlainConnectionsEnd makes sure that no connection from before TLS is served once clients
// need certificates.
func TestPlainConnectionsEnd(t *testing.T) {
	u := prepare(t, t.TempDir())
	u.writeCertificate(time.Hour)
	newAuthority(t, u.path("own.pem"))
	u.configure(withHTTP(`addr: "127.0.0.1:0"`))
	u.start()
	plain := u.url("/v2/")
	client := newClient()
	defer client.CloseIdleConnections()
	for _, want := range []int{http.StatusOK, http.StatusMisdirectedRequest} {
		response, err := client.Get(plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("status %d, %v, want %d", response.StatusCode, err, want)
		}
		u.reload(mutual("clientcas: [DIR/own.pem]"))
	}
}
