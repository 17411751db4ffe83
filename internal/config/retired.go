package config

// retired reads the options that mean nothing any more. They stay declared, because
// a bundle that sets an option which a charm lacks cannot be deployed.
func (r *reader) retired() {
	r.flag("enable-cgroups")
	r.flag("install_from_upstream")
	r.raw("cuda_repo")
	r.raw("docker-ce-package")
	r.raw("nvidia-container-runtime-package")
	r.raw("nvidia-docker-package")
}
