package swift

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
)

// partShift leaves 2^4 partitions.
const partShift = 32 - 4

// device is what a ring knows of a disk.
type device struct {
	ID              int     `json:"id"`
	Region          int     `json:"region"`
	Zone            int     `json:"zone"`
	IP              string  `json:"ip"`
	Port            int     `json:"port"`
	ReplicationIP   string  `json:"replication_ip"`
	ReplicationPort int     `json:"replication_port"`
	Device          string  `json:"device"`
	Weight          float64 `json:"weight"`
	Meta            string  `json:"meta"`
}

// writeRing writes a ring of one replica on one disk. swift-ring-builder takes seconds for the same. The
// format is version 1 of swift/common/ring/ring.py.
func writeRing(path string, port int) error {
	header, err := json.Marshal(map[string]any{
		"devs": []device{{
			Region: 1, Zone: 1, IP: "127.0.0.1", Port: port, ReplicationIP: "127.0.0.1", ReplicationPort: port,
			Device: disk, Weight: 1,
		}},
		"part_shift": partShift, "replica_count": 1, "byteorder": "little",
	})
	if err != nil {
		return fmt.Errorf("cannot write ring: %w", err)
	}
	var ring bytes.Buffer
	packed := gzip.NewWriter(&ring)
	deviceOfPartition := make([]uint16, 1<<(32-partShift))
	for _, part := range []any{[]byte("R1NG"), uint16(1), uint32(len(header)), header, deviceOfPartition} {
		if err := binary.Write(packed, binary.BigEndian, part); err != nil {
			return fmt.Errorf("cannot write ring: %w", err)
		}
	}
	if err := packed.Close(); err != nil {
		return fmt.Errorf("cannot write ring: %w", err)
	}
	return os.WriteFile(path, ring.Bytes(), 0o644)
}
