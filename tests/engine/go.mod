module docker-registry-operator/tests/engine

go 1.26.0
