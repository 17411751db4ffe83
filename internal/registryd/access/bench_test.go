package access

import "testing"

// BenchmarkRemembered is what a request costs whose credentials are remembered.
func BenchmarkRemembered(b *testing.B) {
	for name, policy := range map[string]string{"users": "", "policy": example} {
		b.Run(name, func(b *testing.B) {
			c, r, wanted := newPlace(b).controller(policy), request("ci"), on("team/app", "pull")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Authorized(r, wanted...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
