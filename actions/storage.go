package actions

import "context"

// forgetStorage ends what the status tells of storage that was served before.
func forgetStorage(ctx context.Context, call call) (results, error) {
	if err := call.Unit.ForgetStorage(ctx); err != nil {
		return nil, err
	}
	return success(), nil
}
