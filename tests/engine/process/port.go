package process

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports that servers get. Below those that Linux gives to outgoing connections: one of these could
// take the port of a server that is down for a moment, or even connect to itself there.
const lowestPort, highestPort = 20000, 32000

// Addresses finds n free TCP addresses on the loopback interface.
func Addresses(n int) ([]string, error) {
	var addresses []string
	for range 100 * n {
		if len(addresses) == n {
			return addresses, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowestPort+rand.IntN(highestPort-lowestPort)))
		listener, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		// Not before all are found: none must be found twice.
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, address)
	}
	return nil, errors.New("cannot find free ports: too many are in use")
}
