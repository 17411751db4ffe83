package swift

import "context"

// Move gives a file another path. What is segmented stays where it is: only the manifest
// is made anew. Should it end half way, both paths are there, and the manifest at the
// former says that it does not own the segments any more.
func (d *driver) Move(ctx context.Context, from, to string) error {
	return d.failed("move", from, d.move(ctx, d.layout.file(from), d.layout.file(to)))
}

func (d *driver) move(ctx context.Context, from, to string) error {
	there, err := d.store.head(ctx, from)
	if err != nil {
		return err
	}
	if !there.isStatic() && !there.isDynamic() {
		err = d.store.copy(ctx, from, to)
	} else {
		err = d.hand(ctx, there, from, to)
	}
	if err != nil {
		return err
	}
	return d.store.remove(ctx, from)
}

func (d *driver) hand(ctx context.Context, there object, from, to string) error {
	headers := there.metadata()
	headers[movedMeta] = to
	if err := d.store.annotate(ctx, from, headers); err != nil {
		return err
	}
	delete(headers, movedMeta)
	if there.isDynamic() {
		return d.store.putDynamic(ctx, to, there.segments(), headers)
	}
	segments, err := d.store.staticSegments(ctx, from)
	if err != nil {
		return err
	}
	return d.store.putStatic(ctx, to, segments, headers)
}
