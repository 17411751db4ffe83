package operator

import "context"

// inheritsRecord remembers, while another charm's remains are there, that they were
// met with.
const inheritsRecord = "inherits"

// inherit says whether another charm left something to this one. An operator may have
// gone back to that charm, for which he stopped this one's registry: now that he comes
// again, it is to serve.
func (o *Operator) inherit(ctx context.Context) (bool, error) {
	inherits, err := o.Host.Inherit(ctx)
	if err != nil || !inherits {
		return false, err
	}
	met, err := o.Host.Record(inheritsRecord)
	if err != nil || met != "" {
		return true, err
	}
	if err := o.Host.SetRecord(stoppedRecord, ""); err != nil {
		return true, err
	}
	return true, o.Host.SetRecord(inheritsRecord, "true")
}

// bury removes what is of no use any more. A unit that serves does not fail for it.
func (o *Operator) bury(ctx context.Context) {
	err := o.Host.Bury(ctx)
	if err == nil {
		err = o.Host.SetRecord(inheritsRecord, "")
	}
	if err != nil {
		o.Log.Warn("what the former charm left is still there, the next hook tries again", "reason", err)
		return
	}
	o.Log.Info("refreshed from another charm, whose traces are removed")
}
