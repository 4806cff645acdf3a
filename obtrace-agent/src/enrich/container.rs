//! The container that a process runs in.

/// The id of the container in the text of `/proc/PID/cgroup`, of version 1 and 2: what Docker, containerd, CRI-O and
/// Podman put there, with the cgroupfs and with the systemd driver. 64 hexadecimal digits; on ECS and for other names
/// that carry no such number, `None`.
///
/// ```
/// use obtrace_agent::enrich::container_id;
/// let id = "9f".repeat(32);
/// assert_eq!(container_id(&format!("0::/system.slice/docker-{id}.scope\n")), Some(&id[..]));
/// assert_eq!(container_id("0::/user.slice/user-1000.slice/session-2.scope\n"), None);
/// ```
#[must_use]
pub fn container_id(cgroup: &str) -> Option<&str> {
    cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2)).find_map(|path| {
        // In a container inside a container the innermost is the one.
        path.rsplit('/').find_map(id_of_component)
    })
}

/// `<id>`, `docker-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>`, `libpod-<id>.scope`,
/// `kubepods-…:cri-containerd:<id>`.
pub(crate) fn id_of_component(component: &str) -> Option<&str> {
    let name = component.strip_suffix(".scope").or_else(|| component.strip_suffix(".service")).unwrap_or(component);
    // CRI-O's monitor and Podman's are processes beside the container.
    if name.starts_with("crio-conmon-") || name.starts_with("libpod-conmon-") {
        return None;
    }
    let id = name.rsplit(['-', ':']).next()?;
    (id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_and_driver() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods/burstable/pod6f1ed002-ab59/{id}"),
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-pod6f1e.slice/cri-containerd-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod6f1e.slice/crio-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod6f1e.slice/crio-{id}.scope/container"),
            format!("/system.slice/containerd.service/kubepods-burstable-pod6f1e.slice:cri-containerd:{id}"),
            format!("/machine.slice/libpod-{id}.scope"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope/container"),
            format!("/docker/{}/docker/{id}", "a".repeat(64)),
        ] {
            assert_eq!(container_id(&format!("0::{path}\n")), Some(&id[..]), "version 2: {path}");
            let v1 = format!("12:pids:{path}\n11:cpu,cpuacct:{path}\n1:name=systemd:{path}\n");
            assert_eq!(container_id(&v1), Some(&id[..]), "version 1: {path}");
        }
    }

    #[test]
    fn what_is_not_a_container() {
        for text in [
            "",
            "\n",
            "0::/\n",
            "0::/init.scope\n",
            "nonsense",
            "0::/machine.slice/libpod-conmon-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope\n",
            "0::/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n",
            "0::/docker/0123\n",
        ] {
            assert_eq!(container_id(text), None, "{text:?}");
        }
    }
}
