//! What a cluster says of itself, for the index.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, LimitRange, Namespace as NamespaceObject, ResourceQuota};
use kube::api::{Api, ListParams};
use obtrace_cli::Failure;
use obtrace_patch::Version;

use crate::{
    bounds,
    crd::ObtraceInstrumentation,
    index::{Namespace, SYSTEM_NAMESPACE, World},
    install::{Cluster, said},
    registry,
};

/// Reads the resources, the namespaces, what bounds their Pods, and the version of a cluster.
///
/// # Errors
///
/// What the API server says. A cluster that does not know the resource has none.
pub(in crate::cli) async fn of(cluster: &Cluster) -> Result<World, Failure> {
    let client = cluster.client().clone();
    let failed = |what: &str, error: &kube::Error| Failure::failed(format_args!("cannot {what}: {}", said(error)));
    let mut world = World::new();
    let version = client.apiserver_version().await;
    let version = version.map_err(|error| failed("ask the cluster for its version", &error))?;
    world.version = Version::parse(&version.git_version);
    let resources = Api::<ObtraceInstrumentation>::all(client.clone()).list(&ListParams::default()).await;
    world.resources = match resources {
        Ok(list) => list.items,
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(failed("list the ObtraceInstrumentations", &error)),
    };
    let quotas = Api::<ResourceQuota>::all(client.clone()).list(&ListParams::default()).await;
    let quotas = quotas.map_err(|error| failed("list the ResourceQuotas", &error))?;
    let bounding = quotas.items.into_iter().filter(bounds::of_quota).filter_map(|it| it.metadata.namespace);
    world.bounded.extend(bounding);
    let ranges = Api::<LimitRange>::all(client.clone()).list(&ListParams::default()).await;
    let ranges = ranges.map_err(|error| failed("list the LimitRanges", &error))?;
    world.bounded.extend(ranges.items.into_iter().filter(bounds::of_range).filter_map(|it| it.metadata.namespace));
    // Without the right to read it, or without look-ups, there is nothing known of images.
    let images = Api::<ConfigMap>::namespaced(client.clone(), SYSTEM_NAMESPACE).get_opt(registry::CONFIG_MAP).await;
    world.images = images.ok().flatten().map(|map| Arc::new(registry::images(&map))).unwrap_or_default();
    let namespaces = Api::<NamespaceObject>::all(client).list_metadata(&ListParams::default()).await;
    for namespace in namespaces.map_err(|error| failed("list the namespaces", &error))? {
        let (labels, annotations) = (namespace.metadata.labels, namespace.metadata.annotations);
        let about = Namespace::new(labels.unwrap_or_default(), annotations.unwrap_or_default());
        world.namespaces.insert(namespace.metadata.name.unwrap_or_default(), about);
    }
    Ok(world)
}
