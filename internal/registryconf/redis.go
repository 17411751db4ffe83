package registryconf

import (
	"strings"

	"docker-registry-operator/internal/config"
)

// redisTimeout bounds each step of asking Redis: the storage is asked instead of one
// that does not answer, and the request waits no longer than for that.
const redisTimeout = "1s"

// redis is the section of that name. Versions 2 and 3 have an address each in a form of
// their own, and ignore the other's without a word.
type redis struct {
	Addr             string       `yaml:"addr,omitempty"`
	Addrs            []string     `yaml:"addrs,omitempty,flow"`
	Username         string       `yaml:"username,omitempty"`
	Password         string       `yaml:"password,omitempty"`
	DB               int          `yaml:"db,omitempty"`
	MasterName       string       `yaml:"mastername,omitempty"`
	SentinelPassword string       `yaml:"sentinelpassword,omitempty"`
	DialTimeout      string       `yaml:"dialtimeout"`
	ReadTimeout      string       `yaml:"readtimeout"`
	WriteTimeout     string       `yaml:"writetimeout"`
	MaxRetries       int          `yaml:"maxretries,omitempty"`
	TLS              *redisTLS    `yaml:"tls,omitempty"`
	Pool             *oldRedisMax `yaml:"pool,omitempty"`
}

// redisTLS makes the registry speak TLS by naming authorities: without them it speaks
// plain.
type redisTLS struct {
	RootCAs []string `yaml:"rootcas,flow"`
}

// oldRedisMax is the pool of version 2, which keeps no connection unless told.
type oldRedisMax struct {
	MaxIdle     int    `yaml:"maxidle"`
	IdleTimeout string `yaml:"idletimeout"`
}

func newRedis(in Input) *redis {
	wanted := in.Config.Storage.Redis
	if wanted == nil {
		return nil
	}
	section := redis{
		Username:         wanted.Username,
		Password:         wanted.Password.Reveal(),
		DB:               wanted.DB,
		MasterName:       wanted.Master,
		SentinelPassword: wanted.SentinelPassword.Reveal(),
		DialTimeout:      redisTimeout,
		ReadTimeout:      redisTimeout,
		WriteTimeout:     redisTimeout,
	}
	if in.Stock == 2 {
		section.Addr = strings.Join(wanted.Addrs, ",")
		section.Pool = &oldRedisMax{MaxIdle: 16, IdleTimeout: "300s"}
		return &section
	}
	section.Addrs = wanted.Addrs
	// One: a connection that Redis has closed since its last use is found out so.
	section.MaxRetries = 1
	if wanted.TLS {
		section.TLS = &redisTLS{RootCAs: []string{in.Authorities}}
	}
	return &section
}

// unservedRedis are the options that version 2 has no words for.
func unservedRedis(redis *config.Redis, image image) config.Problems {
	if redis == nil || image.manyRedis {
		return nil
	}
	var problems config.Problems
	for _, option := range []struct {
		name, text string
		set        bool
	}{
		{"addrs", "be one address", len(redis.Addrs) > 1},
		{"username", "be empty", redis.Username != ""},
		{"tls", "be false", redis.TLS},
		{"sentinel-master", "be empty", redis.Master != ""},
	} {
		if option.set {
			problems = append(problems, config.Problem{
				Option: "storage-redis-" + option.name,
				Text:   "must " + option.text + " with " + image.name,
			})
		}
	}
	return problems
}
