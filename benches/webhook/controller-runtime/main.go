// The same mutation as it is usually written: controller-runtime decodes the review and the Pod into types, the Pod is changed and marshalled, and the
// difference becomes the patch. It knows Node.js, Python and Java by the words of the command, and makes of the Pods that the bench sends what obtrace-zero
// makes of them; the bench compares both before anything is timed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	mount  = "/obtrace"
	volume = "obtrace-agent"
	image  = "ghcr.io/obtrace/obtrace-zero-agent:0.1.0"
)

// hook is how a runtime is told of the loader: what is added behind or before the value that is there.
type hook struct {
	variable, value, separator string
	before                     bool
}

var hooks = map[string][]hook{
	"nodejs": {{variable: "NODE_OPTIONS", value: "--require /obtrace/obtrace-loader.js", separator: " "}},
	"python": {{variable: "PYTHONPATH", value: "/obtrace", separator: ":", before: true}, {variable: "PYTHONSTARTUP", value: "/obtrace/obtrace_loader.py"}},
	"java":   {{variable: "JAVA_TOOL_OPTIONS", value: "-javaagent:/obtrace/obtrace-agent.jar", separator: " "}},
}

var programs = map[string]string{"node": "nodejs", "npm": "nodejs", "python": "python", "python3": "python", "gunicorn": "python", "uvicorn": "python", "java": "java"}

func language(container *corev1.Container) string {
	for _, word := range append(append([]string{}, container.Command...), container.Args...) {
		for _, part := range strings.Fields(word) {
			if found := programs[path.Base(part)]; found != "" {
				return found
			}
		}
	}
	return ""
}

func serviceName(pod *corev1.Pod) string {
	for _, label := range []string{"app.kubernetes.io/name", "app"} {
		if name := pod.Labels[label]; name != "" {
			return name
		}
	}
	if pod.Name != "" {
		return pod.Name
	}
	return strings.TrimSuffix(pod.GenerateName, "-")
}

func environment(namespace string) string {
	for _, word := range strings.Split(namespace, "-") {
		if word == "prod" || word == "production" {
			return "production"
		}
	}
	return "unknown"
}

func field(name, of string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: of}}}
}

func instrument(pod *corev1.Pod, container *corev1.Container, namespace, language, ingest string) {
	yes := true
	container.Env = append(container.Env,
		corev1.EnvVar{Name: "OBTRACE_API_KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "obtrace-api-key"}, Key: "api-key", Optional: &yes}}},
		corev1.EnvVar{Name: "OBTRACE_INGEST_URL", Value: ingest},
		corev1.EnvVar{Name: "OBTRACE_SERVICE_NAME", Value: serviceName(pod)},
		corev1.EnvVar{Name: "OBTRACE_ENVIRONMENT", Value: environment(namespace)},
		corev1.EnvVar{Name: "OBTRACE_LANGUAGE", Value: language},
		corev1.EnvVar{Name: "OBTRACE_AGENT_PATH", Value: mount},
		field("OBTRACE_POD_NAME", "metadata.name"),
		field("OBTRACE_POD_NAMESPACE", "metadata.namespace"),
		field("OBTRACE_NODE_NAME", "spec.nodeName"),
		corev1.EnvVar{Name: "OBTRACE_TRACE_SAMPLE_RATIO", Value: "1"})
	for _, hook := range hooks[language] {
		set := false
		for index := range container.Env {
			present := &container.Env[index]
			if present.Name != hook.variable || present.Value == "" {
				continue
			}
			if set = true; hook.before {
				present.Value = hook.value + hook.separator + present.Value
			} else {
				present.Value += hook.separator + hook.value
			}
		}
		if !set {
			container.Env = append(container.Env, corev1.EnvVar{Name: hook.variable, Value: hook.value})
		}
	}
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: mount, ReadOnly: true})
}

func initContainer(language string, resources corev1.ResourceRequirements) corev1.Container {
	yes, no := true, false
	return corev1.Container{
		Name: "obtrace-agent-init", Image: image, Command: []string{"/obtrace-loaders", "copy", "--language", language, "--to", mount}, Resources: resources,
		SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}, Privileged: &no,
			ReadOnlyRootFilesystem: &yes, RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		VolumeMounts: []corev1.VolumeMount{{Name: volume, MountPath: mount}},
	}
}

type injector struct {
	decoder admission.Decoder
	ingest  string
}

func (i *injector) Handle(ctx context.Context, request admission.Request) admission.Response {
	pod := &corev1.Pod{}
	if err := i.decoder.Decode(request, pod); err != nil {
		log.FromContext(ctx).Error(err, "cannot read the Pod")
		return admission.Allowed("").WithWarnings("obtrace-zero: cannot read the Pod: " + err.Error())
	}
	if pod.Annotations["obtrace.io/injected"] == "true" || pod.Annotations["obtrace.io/exclude"] == "true" {
		return admission.Allowed("")
	}
	found := ""
	for index := range pod.Spec.Containers {
		container := &pod.Spec.Containers[index]
		of := language(container)
		if of == "" || (found != "" && of != found) {
			continue
		}
		instrument(pod, container, request.Namespace, of, i.ingest)
		if found == "" {
			found = of
			pod.Spec.InitContainers = append([]corev1.Container{initContainer(of, container.Resources)}, pod.Spec.InitContainers...)
		}
	}
	if found == "" {
		return admission.Allowed("")
	}
	pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: limit()}}})
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations["obtrace.io/injected"] = "true"
	pod.Annotations["obtrace.io/detected-language"] = found
	pod.Annotations["obtrace.io/strategy"] = "sdk"
	pod.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"] = volume
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels["obtrace.io/instrumented"] = "true"
	changed, err := json.Marshal(pod)
	if err != nil {
		return admission.Allowed("").WithWarnings("obtrace-zero: cannot write the Pod: " + err.Error())
	}
	return admission.PatchResponseFromRaw(request.Object.Raw, changed)
}

func main() {
	certificate := flag.String("tls-cert", "", "certificate, PEM")
	key := flag.String("tls-key", "", "its key, PEM")
	address := flag.String("address", "127.0.0.1", "where it listens")
	port := flag.Int("port", 9443, "where it listens")
	ingest := flag.String("ingest-url", "https://ingest.example.com", "where telemetry goes")
	flag.Parse()
	log.SetLogger(zap.New())
	server := webhook.NewServer(webhook.Options{Host: *address, Port: *port, CertDir: filepath.Dir(*certificate), CertName: filepath.Base(*certificate), KeyName: relative(*certificate, *key)})
	server.Register("/mutate-pods", &webhook.Admission{Handler: &injector{decoder: admission.NewDecoder(scheme()), ingest: *ingest}})
	if err := server.Start(ctrl.SetupSignalHandler()); err != nil && err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, "cannot serve:", err)
		os.Exit(1)
	}
}

func relative(certificate, key string) string {
	name, err := filepath.Rel(filepath.Dir(certificate), key)
	if err != nil {
		return key
	}
	return name
}

func scheme() *runtime.Scheme {
	types := runtime.NewScheme()
	if err := corev1.AddToScheme(types); err != nil {
		panic(err)
	}
	return types
}
