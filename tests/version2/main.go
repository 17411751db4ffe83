// Command version2 serves what units served before this charm: the registry of distribution
// 2.8.3, with the storage drivers that a test needs. Tests compare and exchange images with it.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/docker/distribution/configuration"
	"github.com/docker/distribution/registry/handlers"
	_ "github.com/docker/distribution/registry/storage/driver/filesystem"
	_ "github.com/docker/distribution/registry/storage/driver/swift"
)

func main() {
	if len(os.Args) != 3 || os.Args[1] != "serve" {
		log.Fatal("usage: version2 serve CONFIG.yml")
	}
	file, err := os.Open(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	config, err := configuration.Parse(file)
	if err != nil {
		log.Fatal(err)
	}
	app := handlers.NewApp(context.Background(), config)
	log.Fatal(http.ListenAndServe(config.HTTP.Addr, app))
}
