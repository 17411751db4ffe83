package config

// Log says what the registry logs.
type Log struct {
	Level string // error, warn, info or debug
}

func (r *reader) log() Log {
	return Log{Level: r.choice("log-level", "error", "warn", "info", "debug")}
}
