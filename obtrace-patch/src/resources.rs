//! The resources of what is added to a Pod, within those that it has.

use crate::{
    hooks,
    json::Cursor,
    plan,
    pod::{Container, Pod, quantity_bytes},
    settings::Settings,
};

/// The resources whose quantities are taken over, in the order in which they are written.
pub(crate) const NAMES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// A container's requests and limits, as they stand.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held<'a> {
    pub(crate) requests: [Option<&'a [u8]>; 3],
    pub(crate) limits: [Option<&'a [u8]>; 3],
}

impl<'a> Held<'a> {
    /// The limit of one resource.
    pub(crate) fn limit(&self, name: &str) -> Option<&'a [u8]> {
        NAMES.iter().zip(self.limits).find(|(known, _)| **known == name).and_then(|(_, quantity)| quantity)
    }

    /// Whether it makes its container one of a Guaranteed Pod: limits of processor and memory, and requests that are
    /// the same or left out.
    fn is_guaranteed(&self) -> bool {
        let same = |request: Option<&[u8]>, limit: Option<&[u8]>| match (request, limit) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(request), Some(limit)) => request == limit || quantity_bytes(request) == quantity_bytes(limit),
        };
        self.requests.iter().zip(self.limits).take(2).all(|(request, limit)| same(*request, limit))
    }
}

/// What a container holds. `None` if it has none that count here, or none that can be read.
pub(crate) fn of<'a>(container: &Container<'a>) -> Option<Held<'a>> {
    read(container.resources?)
}

/// What a container or a Pod holds by this JSON. `None` if it is nothing that counts here, or nothing that can be read.
pub(crate) fn read(json: &[u8]) -> Option<Held<'_>> {
    let mut held = Held::default();
    let mut cursor = Cursor::new(json);
    let read = cursor.object(|key, cursor| {
        let into = match key {
            b"requests" => &mut held.requests,
            b"limits" => &mut held.limits,
            _ => return cursor.skip().map(drop),
        };
        *into = [None; 3];
        if cursor.null() {
            return Ok(());
        }
        cursor.object(|key, cursor| {
            let value = cursor.skip()?;
            if let Some(at) = NAMES.iter().position(|name| name.as_bytes() == key)
                && let Some(into) = into.get_mut(at)
            {
                *into = Some(value).filter(|value| *value != b"null");
            }
            Ok(())
        })
    });
    let empty = held.requests.iter().chain(&held.limits).all(Option::is_none);
    if read.is_err() || empty { None } else { Some(held) }
}

/// Whether the Pod is in the QoS class Guaranteed: every container of it is.
pub(crate) fn is_guaranteed(pod: &Pod<'_>) -> bool {
    let mut all = pod.spec.all().filter(|container| container.name != hooks::INIT_CONTAINER);
    !pod.spec.containers.is_empty() && all.all(|container| of(container).is_some_and(|held| held.is_guaranteed()))
}

/// Whether a container of the init container's name is the init container: by its image, also of another version or
/// registry.
pub(crate) fn is_our_init(container: &Container<'_>, settings: &Settings) -> bool {
    let image = container.image.as_deref();
    image.is_some_and(|image| plan::is_image(image, &settings.agent_image, "obtrace-zero-agent"))
}
