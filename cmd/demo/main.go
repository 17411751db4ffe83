// Command demo shows the charm at work without Juju: it brings up a registry with
// TLS and a password, pushes an image, pulls it back, and leaves the registry
// running until it is asked to take it down. It uses build/charm as a person would
// and keeps all files in build/demo.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: demo up|down")
	}
	place := newStage("build")
	switch args[0] {
	case "up":
		return up(ctx, place)
	case "down":
		return down(ctx, place)
	}
	return fmt.Errorf("cannot %s: it is up or down", args[0])
}

func up(ctx context.Context, s stage) error {
	begun := time.Now()
	say("preparing a certificate, a password and options in %s", s.dir)
	options, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	say("bringing up the registry (%s)", options.Runtime)
	if err := s.charm(ctx, "up"); err != nil {
		return err
	}
	say("making an image of three layers")
	image, err := makeImage(s.path("image.tar"))
	if err != nil {
		return err
	}
	say("pushing it with the action push")
	target := options.netloc() + "/" + imageName
	if err := s.charm(ctx, "run", "push", "image="+s.path("image.tar"), "pull=false", "tag="+target); err != nil {
		return err
	}
	client, err := newClient(options)
	if err != nil {
		return err
	}
	say("asking the registry what it has")
	listed, err := client.list(ctx)
	if err != nil {
		return err
	}
	for _, name := range listed {
		fmt.Println("  " + name)
	}
	say("pulling it back by digest")
	digest, err := client.pullBack(ctx, target, image)
	if err != nil {
		return err
	}
	fmt.Printf("  %s: every byte is as it was pushed\n", digest)
	say("done in %s", time.Since(begun).Round(100*time.Millisecond))
	s.explain(options, digest)
	return nil
}

func down(ctx context.Context, s stage) error {
	if _, err := os.Stat(s.dir); errors.Is(err, os.ErrNotExist) {
		say("nothing to take down")
		return nil
	}
	if _, err := os.Stat(s.path("options.yaml")); err == nil {
		if err := s.charm(ctx, "down"); err != nil {
			return err
		}
	}
	if err := errors.Join(os.RemoveAll(s.root()), os.RemoveAll(s.dir)); err != nil {
		return fmt.Errorf("cannot remove the demo's files: %w", err)
	}
	say("the registry and its images are gone")
	return nil
}

func say(format string, args ...any) {
	fmt.Printf("==> "+format+"\n", args...)
}

// stage is where the demo takes place.
type stage struct {
	program, dir string
}

func newStage(build string) stage {
	return stage{program: filepath.Join(build, "charm"), dir: filepath.Join(build, "demo")}
}

// path is the absolute path of one of the demo's files.
func (s stage) path(name string) string {
	path, err := filepath.Abs(filepath.Join(s.dir, name))
	if err != nil {
		return filepath.Join(s.dir, name)
	}
	return path
}

// maxRoot is how long the path of a registry's root may be in bytes. Below it stand
// the admin sockets, and the path of a socket has 107 bytes (unix(7)).
const maxRoot = 60

// root is the registry's root: a directory of the demo, or, if that has too long a
// path, a link to one that has not.
func (s stage) root() string {
	root := s.path("root")
	if short, err := os.Readlink(root); err == nil {
		return short
	}
	return root
}

// makeRoot makes the registry's root.
func (s stage) makeRoot() error {
	root := s.path("root")
	if len(root) <= maxRoot {
		return os.MkdirAll(root, 0o755)
	}
	short, err := os.MkdirTemp("", "registry-demo-")
	if err != nil {
		return err
	}
	if err := os.Chmod(short, 0o755); err != nil {
		return err
	}
	return os.Symlink(short, root)
}

// charm runs the charm's program on the demo's registry.
func (s stage) charm(ctx context.Context, args ...string) error {
	args = append([]string{
		"--root", s.root(), "--options", s.path("options.yaml"), "--address", loopback,
	}, args...)
	command := exec.CommandContext(ctx, s.program, args...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("cannot run %s: %w", s.program, err)
	}
	return nil
}

func (s stage) explain(options options, digest string) {
	netloc := options.netloc()
	fmt.Printf(`
The registry goes on running at https://%[1]s, user %[2]s, password in
%[3]s/password. To go on:

  curl --cacert %[3]s/ca.crt --netrc-file %[3]s/netrc https://%[1]s/v2/_catalog
`, netloc, options.User, s.dir)
	if options.Runtime == "docker" {
		fmt.Printf(`  docker login --username %[1]s --password-stdin %[2]s <%[3]s/password
  docker pull %[2]s/%[4]s@%[5]s
`, options.User, netloc, s.dir, imageRepository, digest)
	}
	fmt.Printf(`
Change an option in %[1]s/options.yaml, then:

  %[2]s up --root %[4]s --options %[1]s/options.yaml --address %[3]s

And to take it all down: make demo-down
`, s.dir, s.program, loopback, s.root())
}
