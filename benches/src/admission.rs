//! A Pod's admission: from the bytes of the AdmissionReview to those of the answer, detection included.

use base64::{Engine, engine::general_purpose::STANDARD};
use json_patch::Patch;
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse, AdmissionReview},
};
use obtrace_operator::{
    admission,
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{Index, Namespace, SYSTEM_NAMESPACE, World},
};
use serde_json::{Value, json};

use crate::harness::{Goals, Group, Run};

/// The Pod of a Deployment as the API server hands it on: defaults filled in, a token mounted, managed fields.
fn pod(extra_env: usize, annotation: usize, managed: usize) -> Value {
    let variable = |i: usize| json!({ "name": format!("SETTING_{i}"), "value": format!("https://service-{i}.shop.svc.cluster.local:8443/v1") });
    let mut env: Vec<Value> = [
        ("PORT", "8080"),
        ("NODE_ENV", "production"),
        ("LOG_LEVEL", "info"),
        ("DATABASE_HOST", "orders-db.shop.svc.cluster.local"),
        ("DATABASE_NAME", "orders"),
        ("REDIS_URL", "redis://cache.shop.svc.cluster.local:6379/0"),
        ("NODE_OPTIONS", "--max-old-space-size=512"),
        ("FEATURE_FLAGS", "new-checkout,fast-search"),
    ]
    .map(|(name, value)| json!({ "name": name, "value": value }))
    .to_vec();
    env.push(json!({ "name": "DATABASE_PASSWORD", "valueFrom": { "secretKeyRef": { "name": "orders-db", "key": "password" } } }));
    env.extend((0..extra_env).map(variable));
    let fields: serde_json::Map<String, Value> = (0..managed)
        .map(|i| (format!("k:{{\"name\":\"SETTING_{i}\"}}"), json!({ ".": {}, "f:name": {}, "f:value": {} })))
        .collect();
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "generateName": "checkout-7d9c6b5f44-",
            "namespace": "shop-prod",
            "creationTimestamp": null,
            "labels": { "app": "checkout", "app.kubernetes.io/name": "checkout", "app.kubernetes.io/version": "1.42.7", "pod-template-hash": "7d9c6b5f44", "team": "payments" },
            "annotations": { "prometheus.io/scrape": "true", "prometheus.io/port": "8080", "checksum/config": "b1946ac92492d2347c6235b4d2611184", "example.com/notes": "\"note\" ".repeat(annotation / 9) },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-7d9c6b5f44", "uid": "5d2f9a1e-0d4f-4c2c-9a57-3d1f2b7c9e10", "controller": true, "blockOwnerDeletion": true }],
            "managedFields": [{ "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": "2026-11-21T23:12:11Z", "fieldsType": "FieldsV1", "fieldsV1": { "f:metadata": { "f:annotations": { ".": {}, "f:checksum/config": {}, "f:prometheus.io/port": {}, "f:prometheus.io/scrape": {} }, "f:generateName": {}, "f:labels": { ".": {}, "f:app": {}, "f:pod-template-hash": {} }, "f:ownerReferences": { ".": {}, "k:{\"uid\":\"5d2f9a1e-0d4f-4c2c-9a57-3d1f2b7c9e10\"}": {} } }, "f:spec": { "f:containers": { "k:{\"name\":\"checkout\"}": { ".": {}, "f:env": fields, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {}, "f:resources": {} } } } } }]
        },
        "spec": {
            "volumes": [
                { "name": "config", "configMap": { "name": "checkout", "defaultMode": 420 } },
                { "name": "kube-api-access-x2x9z", "projected": { "sources": [{ "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } }, { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } }, { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } }] } }], "defaultMode": 420 } }
            ],
            "containers": [
                {
                    "name": "checkout",
                    "image": "registry.example.com:5000/payments/checkout:1.42.7",
                    "command": ["/bin/sh", "-c", "exec node --enable-source-maps dist/server.js"],
                    "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
                    "env": env,
                    "resources": { "limits": { "cpu": "500m", "memory": "512Mi" }, "requests": { "cpu": "100m", "memory": "256Mi" } },
                    "volumeMounts": [{ "name": "config", "mountPath": "/etc/checkout" }, { "name": "kube-api-access-x2x9z", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }],
                    "livenessProbe": { "httpGet": { "path": "/live", "port": "http", "scheme": "HTTP" }, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3 },
                    "readinessProbe": { "httpGet": { "path": "/ready", "port": "http", "scheme": "HTTP" }, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3 },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "imagePullPolicy": "IfNotPresent",
                    "securityContext": { "allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": { "drop": ["ALL"] } }
                },
                {
                    "name": "proxy",
                    "image": "docker.io/envoyproxy/envoy:v1.31.0",
                    "args": ["-c", "/etc/envoy/envoy.yaml"],
                    "resources": {},
                    "volumeMounts": [{ "name": "kube-api-access-x2x9z", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount" }],
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "imagePullPolicy": "IfNotPresent"
                }
            ],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "checkout",
            "serviceAccount": "checkout",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [{ "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }, { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }],
            "priority": 0,
            "enableServiceLinks": true,
            "preemptionPolicy": "PreemptLowerPriority"
        },
        "status": {}
    })
}

fn review(pod: &Value) -> Vec<u8> {
    let review = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "requestKind": { "group": "", "version": "v1", "kind": "Pod" },
            "requestResource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "shop-prod",
            "operation": "CREATE",
            "userInfo": { "username": "system:serviceaccount:kube-system:replicaset-controller", "uid": "f5f1f2f3", "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"] },
            "object": pod,
            "oldObject": null,
            "dryRun": false,
            "options": { "kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1" }
        }
    });
    serde_json::to_vec(&review).expect("JSON")
}

fn index() -> Index {
    let mut resource =
        ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::new("https://ingest.example.com"));
    resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
    let mut world = World::new();
    world.resources.push(resource);
    world.namespaces.insert("shop-prod".to_owned(), Namespace::default());
    Index::new(world)
}

/// The usual way: the object as `DynamicObject`, a changed copy of it as `Value`, the difference of the two. What is changed is given,
/// so that nothing has to be found out.
fn usual(bytes: &[u8], change: &Patch) -> Vec<u8> {
    let review: AdmissionReview<DynamicObject> = serde_json::from_slice(bytes).expect("a review");
    let request: AdmissionRequest<DynamicObject> = review.try_into().expect("a request");
    let response = AdmissionResponse::from(&request);
    let before = serde_json::to_value(request.object.expect("a Pod")).expect("JSON");
    let mut after = before.clone();
    json_patch::patch(&mut after, change).expect("a patch that applies");
    let response = response.with_patch(json_patch::diff(&before, &after)).expect("a patch");
    serde_json::to_vec(&response.into_review()).expect("JSON")
}

/// The patch of an answer, and the Pod as that makes it.
fn patched(pod: &Value, answer: &[u8]) -> (Patch, Value) {
    let answer: Value = serde_json::from_slice(answer).expect("JSON");
    let response = &answer["response"];
    assert_eq!(response["allowed"], true);
    let patch: Vec<u8> = match &response["patch"] {
        Value::String(text) => STANDARD.decode(text).expect("base64"),
        // kube writes the bytes as numbers, which the API server takes as well.
        numbers => serde_json::from_value(numbers.clone()).expect("bytes"),
    };
    let patch: Patch = serde_json::from_slice(&patch).expect("operations");
    let mut after = pod.clone();
    json_patch::patch(&mut after, &patch).expect("a patch that applies");
    (patch, after)
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let index = index();
    let sizes = [("5 KB", pod(0, 0, 8), 14.0), ("300 KB", pod(900, 120_000, 1_300), 120.0)];
    for (size, pod, microseconds) in sizes {
        let bytes = review(&pod);
        let answer = admission::answer(&bytes, &index);
        let (patch, after) = patched(&pod, &answer);
        assert_eq!(after, patched(&pod, &usual(&bytes, &patch)).1, "both answers make the same Pod");
        let outcome = Group::new(format!("AdmissionReview of {} bytes", bytes.len()), "review", 1)
            .add("obtrace-operator: detect, plan, patch, answer", bytes.len(), || admission::answer(&bytes, &index))
            .add("kube DynamicObject + json_patch::diff", bytes.len(), || usual(&bytes, &patch))
            .add("floor: serde_json reads the object and drops it", bytes.len(), || {
                serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok()
            })
            .run(run);
        goals.ratio(
            format!("admission of {size}: times kube + json_patch::diff"),
            outcome.nanos[1] / outcome.nanos[0],
            7.0,
            5.0,
        );
        goals.time(format!("admission of {size}: microseconds"), outcome.nanos[0] / 1000.0, microseconds);
        if size == "5 KB" {
            goals.allocations("admission of 5 KB", outcome.allocations[0], 30.0);
        }
    }
}
