package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	declared "docker-registry-operator"
	"docker-registry-operator/actions"
	"docker-registry-operator/internal/desired"
	"docker-registry-operator/internal/local"
	"docker-registry-operator/internal/native"
)

// place is where a unit without Juju lives.
type place struct {
	root, options, address string
}

// standalone is the command line for a machine without Juju.
func standalone() *cobra.Command {
	var at place
	command := &cobra.Command{
		Use:           "charm",
		Short:         "Run a registry on this machine without Juju",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := command.PersistentFlags()
	flags.StringVar(&at.root, "root", "", "directory that stands for / for all files of the registry")
	flags.StringVar(&at.options, "options", "", "YAML file with options of config.yaml (default: none set)")
	flags.StringVar(&at.address, "address", "", "address of this machine (default: that of the default route)")
	command.AddCommand(
		&cobra.Command{
			Use: "up", Short: "Make the registry what the options ask for", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return up(cmd.Context(), at) },
		},
		&cobra.Command{
			Use: "status", Short: "Show the registry's status", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return status(cmd.Context(), at) },
		},
		&cobra.Command{
			Use: "run ACTION [key=value ...]", Short: "Run an action of actions.yaml", Args: cobra.MinimumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return act(cmd.Context(), at, args) },
		},
		&cobra.Command{
			Use: "down", Short: "Remove the registry, keep its images", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return down(cmd.Context(), at) },
		},
	)
	command.AddCommand(&cobra.Command{
		Use: supervise + " DIRECTORY LOG", Args: cobra.ExactArgs(2), Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return native.Supervise(cmd.Context(), args[0], args[1])
		},
	})
	return command
}

func (p place) open() (*local.Unit, charm, error) {
	layout := desired.Layout{}
	if p.root != "" {
		root, err := filepath.Abs(p.root)
		if err != nil {
			return nil, charm{}, fmt.Errorf("cannot find root: %w", err)
		}
		layout.Root = root
	}
	unit, err := local.NewUnit(local.Settings{
		Layout: layout, Options: p.options, Address: p.address, Declared: declared.Config(), Getenv: os.Getenv,
	})
	if err != nil {
		return nil, charm{}, err
	}
	executable, err := os.Executable()
	if err != nil {
		return nil, charm{}, fmt.Errorf("cannot find the charm's own directory: %w", err)
	}
	wired, err := wire(unit, layout, filepath.Dir(executable), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	return unit, wired, err
}

func up(ctx context.Context, at place) error {
	unit, charm, err := at.open()
	if err != nil {
		return err
	}
	defer charm.close()
	if err := charm.operator.Converge(ctx); err != nil {
		return err
	}
	return show(ctx, unit)
}

func status(ctx context.Context, at place) error {
	unit, charm, err := at.open()
	if err != nil {
		return err
	}
	defer charm.close()
	return show(ctx, unit)
}

// show prints the status; one that is not active is an error.
func show(ctx context.Context, unit *local.Unit) error {
	status, err := unit.Status(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", status.Level, status.Message)
	if status.Level != desired.Active {
		return errors.New("the registry is not ready")
	}
	return nil
}

func act(ctx context.Context, at place, args []string) error {
	action, err := local.NewAction(declared.Actions(), args[0], args[1:], os.Stderr)
	if err != nil {
		return err
	}
	_, charm, err := at.open()
	if err != nil {
		return err
	}
	defer charm.close()
	if err := actions.Run(ctx, action, charm.tools()); err != nil {
		return err
	}
	if failure := action.Failure(); failure != "" {
		return errors.New(failure)
	}
	return action.Print(os.Stdout)
}

func down(ctx context.Context, at place) error {
	_, charm, err := at.open()
	if err != nil {
		return err
	}
	defer charm.close()
	return charm.operator.Remove(ctx)
}
