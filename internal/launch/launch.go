// Package launch names what one process of a job hands to the next one it
// starts: run-job to the application master, the application master to its
// containers. Environments hold ids and addresses only, since YARN copies them
// into log folders; secrets go by the secret map of the credentials file.
package launch

import (
	"encoding/json"
	"fmt"

	"heddle/config"
	"heddle/yarn/security"
)

// The environment, under Samza's names where there are any.
const (
	// EnvContainerID is the container's (processor's) id in the JobModel.
	EnvContainerID = "SAMZA_CONTAINER_ID"
	// EnvCoordinatorURL is where the coordinator's HTTP server listens.
	EnvCoordinatorURL = "SAMZA_COORDINATOR_URL"
	// EnvExecutionID is the cluster's id of the container.
	EnvExecutionID = "EXECUTION_ENV_CONTAINER_ID"
	// EnvCoordinatorConfig is the part of the configuration, as JSON and without
	// secrets, by which the coordinator stream is found.
	EnvCoordinatorConfig = "SAMZA_COORDINATOR_SYSTEM_CONFIG"
	// EnvPackage describes the job's package (Package, as JSON), so that the
	// application master can give it to its containers without a client of the
	// file system.
	EnvPackage = "HEDDLE_PACKAGE"
	// EnvStaging is the URI of the application's staging folder, which the
	// application master removes once no other attempt can need it.
	EnvStaging = "HEDDLE_STAGING"
	// EnvStoreBase is the folder for local state that outlives the application. If
	// it is set where the job is submitted, it is for the job's containers; otherwise
	// it is the NodeManager's, where YARN lets it through.
	EnvStoreBase = "LOGGED_STORE_BASE_DIR"
	// EnvLogDir is the folder of the process's logs.
	EnvLogDir = "SAMZA_LOG_DIR"
)

// Aliases in the secret map of the credentials file.
const (
	// SecretJob is the job's secret.
	SecretJob = "heddle.job.secret"
	// SecretCredential is the container's credential, derived from it.
	SecretCredential = "heddle.container.credential"
	// SecretConfig holds the secret keys of the configuration, a JSON object.
	SecretConfig = "heddle.secrets"
)

// Package is what YARN has to know of the job's package.
type Package struct {
	URL       string `json:"url"`
	Size      int64  `json:"size"`
	Timestamp int64  `json:"timestamp"`
}

// Dir is the name under which the package lies in a container's work directory.
const Dir = "__package"

// AddConfig puts the configuration's secrets into the credentials.
func AddConfig(to *security.Credentials, c config.Config) error {
	b, err := json.Marshal(c.Secrets())
	if err != nil {
		return fmt.Errorf("secrets of the configuration: %w", err)
	}
	to.AddSecret(SecretConfig, b)
	return nil
}

// WithSecrets gives the configuration with the secrets that the credentials
// hold.
func WithSecrets(c config.Config, from *security.Credentials) (config.Config, error) {
	b, ok := from.Secret(SecretConfig)
	if !ok {
		return c, nil
	}
	var m map[string]string
	if err := json.Unmarshal(b, &m); err != nil {
		return c, fmt.Errorf("secrets of the configuration (%s in the credentials file): not a JSON object of texts", SecretConfig)
	}
	return c.With(m), nil
}
