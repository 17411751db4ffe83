package juju

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"unicode/utf8"
)

// errNoTool says that this Juju has no such hook tool.
var errNoTool = errors.New("no such hook tool")

// toolMissing is how a shell, and Juju 4 for a tool that it has dropped, says
// that there is no such command.
const toolMissing = 127

// argumentLimit bounds one argument in bytes. Linux refuses to start a program
// with an argument of 128 KiB or more (MAX_ARG_STRLEN, execve(2)).
const argumentLimit = 120 << 10

// ask runs a hook tool that answers in JSON. JSON is asked for always: in the
// default format config-get prints the integer 12345678 as 1.2345678e+07.
func ask[T any](ctx context.Context, decode func([]byte) (T, error), name string, args ...string) (T, error) {
	output, err := run(ctx, nil, name, append([]string{"--format=json"}, args...)...)
	if err != nil {
		var none T
		return none, err
	}
	answer, err := decode(output)
	if err != nil {
		return answer, fmt.Errorf("cannot read the answer of %s: %w", name, err)
	}
	return answer, nil
}

func tell(ctx context.Context, name string, args ...string) error {
	_, err := run(ctx, nil, name, args...)
	return err
}

// run runs a hook tool with stdin and answers what it prints. Nothing secret may be
// in args; neither args nor stdin appear in an error.
func run(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if stdin != nil {
		command.Stdin = bytes.NewReader(stdin)
	}
	err := command.Run()
	if err == nil {
		return stdout.Bytes(), nil
	}
	var exit *exec.ExitError
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) ||
		errors.As(err, &exit) && exit.ExitCode() == toolMissing {
		return nil, fmt.Errorf("cannot run %s: %w", name, errNoTool)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("cannot run %s: %w", name, ctx.Err())
	}
	if reason := strings.TrimSpace(strings.TrimPrefix(stderr.String(), "ERROR")); reason != "" {
		return nil, fmt.Errorf("cannot run %s: %s", name, reason)
	}
	return nil, fmt.Errorf("cannot run %s: %w", name, err)
}

// argument makes a text fit to be an argument: valid UTF-8 without NUL, and short
// enough, with a mark where something was cut off.
func argument(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), string(utf8.RuneError))
	if len(text) <= argumentLimit {
		return text
	}
	cut := argumentLimit
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%s\n[%d more bytes left out]", text[:cut], len(text)-cut)
}
