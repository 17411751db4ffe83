package host

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"docker-registry-operator/internal/desired"
)

// maxKey bounds a key that is fetched; that of Debian's archive has 60 KiB.
const maxKey = 1 << 20

// fetchTime bounds how long a key server may take.
const fetchTime = 30 * time.Second

const armourHead = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

// armoured says that a key is text.
func armoured(key []byte) bool { return bytes.Contains(key, []byte(armourHead)) }

// findKey is a key that the operator gave whole, or the one with the ID that he gave.
func findKey(ctx context.Context, text, server string, proxy desired.Proxy) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	if armoured([]byte(text)) {
		return []byte(text + "\n"), nil
	}
	id := strings.ToUpper(strings.TrimPrefix(strings.ReplaceAll(text, " ", ""), "0x"))
	if _, err := hex.DecodeString(id); err != nil || len(id) < 8 {
		return nil, errors.New("its key must be a key ID or an ASCII armoured key")
	}
	address, err := keyURL(server, id)
	if err != nil {
		return nil, err
	}
	key, err := download(ctx, address, proxy)
	if err != nil {
		return nil, err
	}
	print, err := fingerprint(key)
	if err != nil {
		return nil, fmt.Errorf("key server %q gave no key: %w", server, err)
	}
	if !strings.HasSuffix(print, id) {
		return nil, fmt.Errorf("key server %q gave key %s for ID %s", server, print, id)
	}
	return key, nil
}

// keyURL is where a key server gives a key, see
// https://datatracker.ietf.org/doc/html/draft-shaw-openpgp-hkp-00
func keyURL(server, id string) (string, error) {
	if !strings.Contains(server, "://") {
		server = "hkp://" + server
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", errors.New("its key server is not a URL")
	}
	switch u.Scheme {
	case "hkps":
		u.Scheme = "https"
	case "hkp":
		u.Scheme = "http"
		if u.Port() == "" {
			u.Host += ":11371"
		}
	}
	u.Path = "/pks/lookup"
	u.RawQuery = "op=get&options=mr&search=0x" + id
	return u.String(), nil
}

// download fetches a small file through the model's proxy.
func download(ctx context.Context, address string, proxy desired.Proxy) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	settings := httpproxy.Config{HTTPProxy: proxy.HTTP, HTTPSProxy: proxy.HTTPS, NoProxy: proxy.No}
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy:             func(r *http.Request) (*url.URL, error) { return settings.ProxyFunc()(r.URL) },
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch key: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch key: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot fetch key: %s answers %s", request.URL.Redacted(), response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxKey))
	if err != nil {
		return nil, fmt.Errorf("cannot fetch key: %w", err)
	}
	return content, nil
}

// fingerprint is the fingerprint of an ASCII armoured key of version 4, in upper-case
// hex: RFC 4880, sections 4.2, 6.2 and 12.2. Keyservers are not trusted to give the
// key that was asked for, and gpg is not on every machine.
func fingerprint(key []byte) (string, error) {
	_, body, found := strings.Cut(strings.ReplaceAll(string(key), "\r\n", "\n"), armourHead)
	if !found {
		return "", errors.New("not an ASCII armoured key")
	}
	body, _, _ = strings.Cut(body, "-----END")
	_, body, found = strings.Cut(body, "\n\n")
	if !found {
		return "", errors.New("the armour has no end")
	}
	// The checksum is the last line and begins with "=".
	if at := strings.LastIndex(body, "\n="); at >= 0 {
		body = body[:at]
	}
	packet, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(body), ""))
	if err != nil {
		return "", err
	}
	content, err := firstPacket(packet)
	if err != nil {
		return "", err
	}
	if len(content) == 0 || content[0] != 4 || len(content) > 0xffff {
		return "", errors.New("not a key of version 4")
	}
	hash := sha1.New()
	hash.Write([]byte{0x99, byte(len(content) >> 8), byte(len(content))})
	hash.Write(content)
	return strings.ToUpper(hex.EncodeToString(hash.Sum(nil))), nil
}

// firstPacket is the content of the first packet, which has to be a public key.
func firstPacket(data []byte) ([]byte, error) {
	const publicKey = 6
	broken := errors.New("not a public key")
	if len(data) < 6 || data[0]&0x80 == 0 {
		return nil, broken
	}
	var tag, length, start int
	if data[0]&0x40 == 0 {
		tag = int(data[0] >> 2 & 0xf)
		switch data[0] & 3 {
		case 0:
			length, start = int(data[1]), 2
		case 1:
			length, start = int(binary.BigEndian.Uint16(data[1:])), 3
		case 2:
			length, start = int(binary.BigEndian.Uint32(data[1:])), 5
		}
	} else {
		tag = int(data[0] & 0x3f)
		switch first := int(data[1]); {
		case first < 192:
			length, start = first, 2
		case first < 224:
			length, start = (first-192)<<8+int(data[2])+192, 3
		case first == 255:
			length, start = int(binary.BigEndian.Uint32(data[2:])), 6
		}
	}
	if tag != publicKey || start == 0 || length > len(data)-start {
		return nil, broken
	}
	return data[start : start+length], nil
}
