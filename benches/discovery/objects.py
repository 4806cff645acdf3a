"""Workloads and Pods as an API server tells of them, managed fields and all, in pages that are written once."""

import json

# What a container runs, and how many of every sixteen workloads run it.
IMAGES = (("node:22-alpine", 4), ("python:3.12-slim", 3), ("eclipse-temurin:21-jre", 3), ("mcr.microsoft.com/dotnet/aspnet:8.0", 1), ("php:8.3-fpm", 1),
          ("golang:1.23", 1), ("registry.example.com:5000/payments/thing:7", 2), ("ruby:3.3", 1))
RUNS = [image for image, count in IMAGES for _ in range(count)]

# Plural, kind, group and version, and how many of a hundred workloads are of it.
KINDS = (("deployments", "Deployment", "apps/v1", 80), ("statefulsets", "StatefulSet", "apps/v1", 8), ("daemonsets", "DaemonSet", "apps/v1", 2),
         ("cronjobs", "CronJob", "batch/v1", 5), ("jobs", "Job", "batch/v1", 5))
CREATED = "2026-11-01T08:00:00Z"
PAGE = 500


def of_kind(count):
    """How many workloads there are of each kind."""
    counts = {plural: count * share // 100 for plural, _, _, share in KINDS}
    counts["deployments"] += count - sum(counts.values())
    return counts


def container(name, image):
    env = [{"name": f"SETTING_{index}", "value": f"https://service-{index}.shop.svc.cluster.local:8443/v1"} for index in range(8)]
    probe = {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
    return {"name": name, "image": image, "env": env, "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "500m", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}], "livenessProbe": probe, "readinessProbe": probe,
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"}


def template(image):
    pods = {"containers": [container("main", image)], "volumes": [{"name": "config", "configMap": {"name": "config", "defaultMode": 420}}],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "serviceAccountName": "app",
            "serviceAccount": "app", "securityContext": {}, "schedulerName": "default-scheduler"}
    labels = {"app": "@NAME@", "app.kubernetes.io/name": "@NAME@", "app.kubernetes.io/version": "1.42.7", "team": "payments"}
    return {"metadata": {"creationTimestamp": None, "labels": labels, "annotations": {"checksum/config": "b1946ac92492d2347c6235b4d2611184"}}, "spec": pods}


def managed():
    """What an apply and a controller leave in an object."""
    of_container = {".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:ports": {".": {}}, "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}, "f:memory": {}}},
                    "f:env": {f'k:{{"name":"SETTING_{index}"}}': {".": {}, "f:name": {}, "f:value": {}} for index in range(8)}}
    spec = {"f:replicas": {}, "f:selector": {}, "f:strategy": {"f:type": {}},
            "f:template": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers": {'k:{"name":"main"}': of_container}}}}
    one = {"manager": "argocd-controller", "operation": "Apply", "apiVersion": "apps/v1", "time": CREATED, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": spec}}
    conditions = {f'k:{{"type":"{kind}"}}': {".": {}, "f:lastTransitionTime": {}, "f:reason": {}, "f:status": {}, "f:type": {}} for kind in ("Available", "Progressing")}
    two = {"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1", "time": CREATED, "fieldsType": "FieldsV1",
           "fieldsV1": {"f:status": {"f:availableReplicas": {}, "f:conditions": {".": {}, **conditions}, "f:replicas": {}}}, "subresource": "status"}
    return [one, two]


def workload(kind, image):
    spec = {"template": template(image)}
    if kind == "CronJob":
        spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": spec}}
    condition = {"type": "Available", "status": "True", "lastUpdateTime": CREATED, "lastTransitionTime": CREATED, "reason": "MinimumReplicasAvailable",
                 "message": "Deployment has minimum availability."}
    return {"metadata": {"name": "@NAME@", "namespace": "@NAMESPACE@", "uid": "5d2f9a1e-0d4f-4c2c-9a57-@NUMBER@", "resourceVersion": "7", "generation": 3,
                         "creationTimestamp": CREATED, "labels": {"app": "@NAME@"}, "annotations": {"deployment.kubernetes.io/revision": "3"}, "managedFields": managed()},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "@NAME@"}}, **spec},
            "status": {"replicas": 3, "readyReplicas": 3, "conditions": [condition]}}


def pod():
    """The metadata of a Pod of a Deployment that the webhook has instrumented."""
    conditions = {f'k:{{"type":"{kind}"}}': {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}}
                  for kind in ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")}
    kubelet = {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "time": CREATED, "fieldsType": "FieldsV1", "subresource": "status",
               "fieldsV1": {"f:status": {"f:conditions": conditions, "f:containerStatuses": {}, "f:hostIP": {}, "f:phase": {}, "f:podIP": {}, "f:startTime": {}}}}
    maker = {**managed()[0], "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "@NAME@-7d9c6b5f44", "uid": "5d2f9a1e-0d4f-4c2c-9a57-@NUMBER@", "controller": True, "blockOwnerDeletion": True}
    labels = {"app": "@NAME@", "app.kubernetes.io/name": "@NAME@", "pod-template-hash": "7d9c6b5f44", "obtrace.io/instrumented": "true"}
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {
        "name": "@NAME@-7d9c6b5f44-@SUFFIX@", "generateName": "@NAME@-7d9c6b5f44-", "namespace": "@NAMESPACE@", "uid": "aa2f9a1e-0d4f-4c2c-9a57-@NUMBER@",
        "resourceVersion": "7", "creationTimestamp": CREATED, "labels": labels, "annotations": {"obtrace.io/injected": "true", "obtrace.io/strategy": "sdk"},
        "ownerReferences": [owner], "managedFields": [maker, kubelet]}}


POD = json.dumps(pod(), separators=(",", ":"))


def filled(text, index, namespaces, suffix=""):
    return (text.replace("@NAME@", f"service-{index:06}").replace("@NAMESPACE@", f"team-{index % namespaces:04}").replace("@NUMBER@", f"{index:012x}")
            .replace("@SUFFIX@", suffix))


def pages(kind, version, items):
    """The items of a list, so many a page."""
    items = list(items)
    starts = range(0, max(len(items), 1), PAGE)
    for start in starts:
        last = start + PAGE >= len(items)
        rest = "" if last else f',"continue":"{start + PAGE}","remainingItemCount":{len(items) - start - PAGE}'
        yield f'{{"kind":"{kind}List","apiVersion":"{version}","metadata":{{"resourceVersion":"7"{rest}}},"items":['.encode() + ",".join(items[start:start + PAGE]).encode() + b"]}"


def world(workloads, namespaces, pods):
    """Every list by its plural, as pages."""
    lists = {}
    for plural, kind, version, _ in KINDS:
        texts = {image: json.dumps(workload(kind, image), separators=(",", ":")) for image in RUNS}
        count = of_kind(workloads)[plural]
        lists[plural] = list(pages(kind, version, (filled(texts[RUNS[index % len(RUNS)]], index, namespaces) for index in range(count))))
    of = max(of_kind(workloads)["deployments"], 1)
    lists["pods"] = list(pages("PartialObjectMetadata", "meta.k8s.io/v1", (filled(POD, index % of, namespaces, f"{index // of:05}") for index in range(pods))))
    return lists


def changed_pod(index, options):
    """A Pod as it is after so many changes: each in turn loses its mark, then gets it back."""
    index, again = index % options.pods, index // options.pods
    of = of_kind(options.workloads)["deployments"]
    made = json.loads(filled(POD, index % of, options.namespaces, f"{index // of:05}"))
    made["metadata"]["labels"]["obtrace.io/instrumented"] = "true" if again % 2 else "false"
    return made
