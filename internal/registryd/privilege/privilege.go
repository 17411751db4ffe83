// Package privilege turns a process that root started into that of an ordinary user
// which keeps the two capabilities a registry may need. It decides nothing: whom to
// become, and when, is its caller's.
package privilege

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kept are the capabilities that survive Drop if the process had them: to listen below
// port 1024, and to read and write an image directory that another user left behind.
const kept = 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_DAC_OVERRIDE

// maxID is the highest user or group id; the kernel keeps 2^32-1 to mean "unchanged".
const maxID = 1<<32 - 2

// ErrSyntax means that a user was not written as UID:GID.
var ErrSyntax = errors.New("must be UID:GID, two numbers")

// IDs is a user and a group by their numbers.
type IDs struct{ UID, GID int }

// Parse reads "UID:GID". Names are not accepted: a container has no user database to
// look them up in. Root is refused, as dropping to it would drop nothing.
func Parse(text string) (IDs, error) {
	user, group, found := strings.Cut(text, ":")
	uid, errUID := number(user)
	gid, errGID := number(group)
	if !found || errUID != nil || errGID != nil {
		return IDs{}, fmt.Errorf("cannot read user %q: %w", text, ErrSyntax)
	}
	if uid == 0 {
		return IDs{}, fmt.Errorf("cannot read user %q: must not be root", text)
	}
	return IDs{UID: uid, GID: gid}, nil
}

func number(text string) (int, error) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, ErrSyntax
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > maxID {
		return 0, ErrSyntax
	}
	return int(n), nil
}

// Drop makes every thread of the process run as ids, without supplementary groups, and
// with no capability but CAP_NET_BIND_SERVICE and CAP_DAC_OVERRIDE where the process had
// them; it can gain none later. It does nothing unless the process runs as root. After an
// error the process is in an undefined state between the two and must end.
//
// It needs a binary that is built without cgo.
func Drop(ids IDs) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if err := drop(ids); err != nil {
		return fmt.Errorf("cannot become user %d:%d: %w", ids.UID, ids.GID, err)
	}
	return nil
}

func drop(ids IDs) error {
	permitted, err := permittedCapabilities()
	if err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	if err := prctlAll(unix.PR_SET_KEEPCAPS, 1); err != nil {
		return fmt.Errorf("prctl PR_SET_KEEPCAPS: %w", err)
	}
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(ids.GID); err != nil {
		return fmt.Errorf("setgid: %w", err)
	}
	if err := syscall.Setuid(ids.UID); err != nil {
		return fmt.Errorf("setuid: %w", err)
	}
	if err := setCapabilities(permitted & kept); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	if err := prctlAll(unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return nil
}

func permittedCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, err
	}
	return uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted), nil
}

func setCapabilities(set uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	low, high := uint32(set), uint32(set>>32)
	data := [2]unix.CapUserData{
		{Effective: low, Permitted: low},
		{Effective: high, Permitted: high},
	}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	return asError(errno)
}

func prctlAll(option int, value uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, uintptr(option), value, 0, 0, 0, 0)
	return asError(errno)
}

func asError(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}
