//! `obtrace-zero status`.

use std::fmt::Write as _;

use obtrace_cli::{Color, Failure, paint, write_out};
use serde_json::{Value, json};

use super::{
    arguments::Status,
    certificate, connect,
    install::deployment,
    skew::{self, Versions},
    wait,
    workloads::{self, Row},
};
use crate::{
    index::SYSTEM_NAMESPACE,
    install::{Cluster, LEASE, Rollout, WEBHOOK, text},
};

pub(in crate::cli) async fn run(flags: &Status, color: Color) -> Result<(), Failure> {
    let cluster = connect(&flags.connection).await?;
    let status = read(&cluster).await?;
    if flags.json {
        return write_out(format!("{status}\n").as_bytes());
    }
    write_out(describe(&status, color.stdout).as_bytes())
}

async fn read(cluster: &Cluster) -> Result<Value, Failure> {
    let found = cluster.get(&deployment()).await.map_err(Failure::failed)?;
    let operator = match &found {
        Some(found) => {
            let rollout = Rollout::of(cluster, &deployment()).await.map_err(Failure::failed)?.unwrap_or_default();
            json!({
                "installed": true,
                "image": text(found, "/spec/template/spec/containers/0/image"),
                "ready": rollout.ready,
                "wanted": rollout.wanted,
                "reasons": rollout.reasons,
                "leader": leader(cluster).await?,
            })
        }
        None => json!({ "installed": false }),
    };
    // Whoever may not read them is told the rest.
    let versions = Versions::of(cluster).await.unwrap_or_default();
    let skew = skew::Version::ours().and_then(|ours| versions.skew(ours));
    let version = json!({
        "program": skew::OURS,
        "operator": versions.operator.map(|it| it.to_string()),
        "definition": versions.definition.map(|it| it.to_string()),
        "detail": versions.describe(),
        "advice": skew.map(|skew| skew.advice),
    });
    let certificate = match certificate::of(cluster).await {
        Ok(found) => json!({ "valid": true, "notAfter": found.not_after.to_string(), "daysLeft": found.days_left() }),
        Err(why) => json!({ "valid": false, "reason": why }),
    };
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": { "name": WEBHOOK },
    });
    let configuration = cluster.get(&configuration).await.map_err(Failure::failed)?;
    let webhook = json!({
        "configured": configuration.is_some(),
        "failurePolicy": configuration.as_ref().map(|it| text(it, "/webhooks/0/failurePolicy")),
        "endpoints": wait::has_endpoints(cluster).await,
    });
    let rows = workloads::rows(cluster, "").await?;
    let resources = cluster.list("obtrace.io/v1alpha1", "ObtraceInstrumentation", "", "").await;
    let resources: Vec<_> = resources.map_err(Failure::failed)?.iter().map(|it| resource(it, &rows)).collect();
    Ok(json!({
        "operator": operator,
        "version": version,
        "certificate": certificate,
        "webhook": webhook,
        "resources": resources,
        "totals": totals(rows.iter()),
    }))
}

/// Who the leader is, if one is.
async fn leader(cluster: &Cluster) -> Result<Option<String>, Failure> {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": LEASE, "namespace": SYSTEM_NAMESPACE },
    });
    let lease = cluster.get(&lease).await.map_err(Failure::failed)?;
    Ok(lease.map(|it| text(&it, "/spec/holderIdentity").to_owned()).filter(|holder| !holder.is_empty()))
}

fn resource(object: &Value, rows: &[Row]) -> Value {
    let name = format!("{}/{}", text(object, "/metadata/namespace"), text(object, "/metadata/name"));
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.and_then(|all| all.iter().find(|it| it["type"] == "Ready"));
    let totals = totals(rows.iter().filter(|row| row.resource.as_ref() == Some(&name)));
    json!({
        "name": name,
        "strategy": text(object, "/spec/strategy"),
        "ready": ready.map(|it| text(it, "/status")),
        "message": ready.map(|it| text(it, "/message")).filter(|message| !message.is_empty()),
        "totals": totals,
    })
}

fn totals<'a>(rows: impl Iterator<Item = &'a Row>) -> Value {
    let mut totals = [0_u64; 4];
    for row in rows {
        let [workloads, instrumented, pending, skipped] = &mut totals;
        *workloads += 1;
        match row.state {
            "instrumented" => *instrumented += 1,
            "pending" => *pending += 1,
            _ => *skipped += 1,
        }
    }
    let [workloads, instrumented, pending, skipped] = totals;
    json!({ "workloads": workloads, "instrumented": instrumented, "pending": pending, "skipped": skipped })
}

fn describe(status: &Value, color: bool) -> String {
    let mut out = String::new();
    let mut line = |name: &str, good: bool, what: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<12} {}", paint(&what, if good { "32" } else { "31" }, color));
    };
    let operator = &status["operator"];
    if operator["installed"] == true {
        let (ready, wanted) =
            (operator["ready"].as_i64().unwrap_or_default(), operator["wanted"].as_i64().unwrap_or_default());
        let leader = operator["leader"].as_str().map(|leader| format!(", leader {leader}")).unwrap_or_default();
        line("operator", ready >= wanted, format!("{ready} of {wanted} ready, {}{leader}", text(operator, "/image")));
        for reason in operator["reasons"].as_array().into_iter().flatten() {
            line("", false, reason.as_str().unwrap_or_default().to_owned());
        }
    } else {
        line("operator", false, "not installed: `obtrace-zero install`".to_owned());
    }
    if operator["installed"] == true {
        let version = &status["version"];
        let advice = version["advice"].as_str();
        line("version", advice.is_none(), text(version, "/detail").to_owned());
        if let Some(advice) = advice {
            line("", false, advice.to_owned());
        }
    }
    let certificate = &status["certificate"];
    match certificate["daysLeft"].as_i64() {
        Some(days) => {
            line("certificate", days > 0, format!("valid for {days} days, until {}", text(certificate, "/notAfter")))
        }
        None => line("certificate", false, text(certificate, "/reason").to_owned()),
    }
    let webhook = &status["webhook"];
    let what = match (webhook["configured"] == true, webhook["endpoints"] == true) {
        (false, _) => "not configured: no Pod is changed".to_owned(),
        (true, false) => format!("no operator answers; failure policy {}", text(webhook, "/failurePolicy")),
        (true, true) => format!("configured; failure policy {}", text(webhook, "/failurePolicy")),
    };
    line("webhook", webhook["configured"] == true && webhook["endpoints"] == true, what);
    let counts = |totals: &Value| {
        let number = |name: &str| totals[name].as_u64().unwrap_or_default();
        format!(
            "{} instrumented, {} pending, {} skipped of {} workloads",
            number("instrumented"),
            number("pending"),
            number("skipped"),
            number("workloads")
        )
    };
    for resource in status["resources"].as_array().into_iter().flatten() {
        let ready = resource["ready"].as_str();
        let message = resource["message"].as_str().map(|message| format!(" ({message})")).unwrap_or_default();
        let said = format!(
            "{}: {}{}",
            text(resource, "/name"),
            counts(&resource["totals"]),
            if ready == Some("False") { message } else { String::new() }
        );
        line("resource", ready != Some("False"), said);
    }
    if status["resources"].as_array().is_none_or(Vec::is_empty) {
        line("resource", false, "there is no ObtraceInstrumentation: no Pod is changed".to_owned());
    }
    line("total", true, counts(&status["totals"]));
    out
}
