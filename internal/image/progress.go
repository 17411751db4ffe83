package image

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// step is how many percent lie between two lines of progress: an action's log is
// kept by the controller.
const step = 10

// watch turns updates into lines of progress until the channel is closed.
func watch(updates <-chan v1.Update, progress func(string)) {
	told := int64(0)
	for update := range updates {
		if update.Error != nil || update.Total <= 0 {
			continue
		}
		percent := update.Complete * 100 / update.Total
		if percent/step > told/step {
			told = percent
			progress(fmt.Sprintf("pushed %d of %d MB", update.Complete>>20, update.Total>>20))
		}
	}
}
