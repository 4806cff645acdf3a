//! The Pod and the container that a process belongs to, by the name of its control group.
//!
//! The kubelet names the group of a Pod after its UID
//! ([`cm/pod_container_manager_linux.go`](https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/cm/pod_container_manager_linux.go):
//! `pod` and the UID below the group of its quality of service), and turns each component of that path into a slice of
//! its own for systemd, `-` escaped as `_`
//! ([`cm/cgroup_manager_linux.go`](https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/cm/cgroup_manager_linux.go)). The
//! runtime names the container's group below it: containerd's CRI `cri-containerd-<id>.scope` or `<id>`, CRI-O
//! `crio-<id>.scope` or `crio-<id>`, cri-dockerd `docker-<id>.scope` or `<id>`.

use std::{fmt, str::FromStr};

use crate::enrich;

/// The UID of a Pod.
///
/// That of a static Pod, which a file on the node declares, is a checksum of the file and written without dashes; its
/// mirror in the API has another UID and names the checksum in the annotation `kubernetes.io/config.hash`.
///
/// ```
/// use obtrace_agent::kubernetes::PodUid;
/// let uid: PodUid = "6f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f".parse().unwrap();
/// assert_eq!("6f1ed002_ab59_4c1c_9a3d_0c1b2a3d4e5f".parse(), Ok(uid));
/// assert_eq!(uid.to_string(), "6f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PodUid {
    number: u128,
    dashes: bool,
}

/// What is not the UID of a Pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a Pod's UID has 32 hexadecimal digits, in groups of 8, 4, 4, 4 and 12 or in one")]
#[expect(clippy::exhaustive_structs, reason = "there is nothing to add to it")]
pub struct NotAUid;

impl PodUid {
    /// Whether it is that of a static Pod: a checksum.
    #[must_use]
    pub const fn is_static(self) -> bool {
        !self.dashes
    }
}

impl FromStr for PodUid {
    type Err = NotAUid;

    fn from_str(text: &str) -> Result<Self, NotAUid> {
        let mut number = 0_u128;
        let dashes = text.len() == 36;
        if !dashes && text.len() != 32 {
            return Err(NotAUid);
        }
        for (index, byte) in text.bytes().enumerate() {
            if dashes && matches!(index, 8 | 13 | 18 | 23) {
                if byte != b'-' && byte != b'_' {
                    return Err(NotAUid);
                }
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return Err(NotAUid),
            };
            number = number << 4 | u128::from(digit);
        }
        Ok(Self { number, dashes })
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.dashes {
            return write!(f, "{:032x}", self.number);
        }
        let part = |from: u32, digits: u32| self.number >> (128 - 4 * (from + digits)) & ((1 << (4 * digits)) - 1);
        write!(f, "{:08x}-{:04x}-{:04x}-", part(0, 8), part(8, 4), part(12, 4))?;
        write!(f, "{:04x}-{:012x}", part(16, 4), part(20, 12))
    }
}

/// Where in a cluster a process is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Place<'a> {
    /// The Pod.
    pub pod: PodUid,
    /// The id of the container, as its runtime gave it; `None` for a process that is in the Pod's own group.
    pub container: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// A place in a Pod.
    #[must_use]
    pub const fn new(pod: PodUid, container: Option<&'a str>) -> Self {
        Self { pod, container }
    }

    /// Reads the text of `/proc/PID/cgroup`, of version 1 and 2, also as seen from a group namespace of the reader's own
    /// (`/../../pod…`). `None`: in no Pod. Where there is a cluster inside a Pod, the outer one counts.
    ///
    /// ```
    /// use obtrace_agent::kubernetes::Place;
    /// let id = "9f".repeat(32);
    /// let text = format!("0::/kubepods/burstable/pod6f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f/{id}\n");
    /// let place = Place::of_cgroup(&text).unwrap();
    /// assert_eq!(place.container, Some(&id[..]));
    /// assert_eq!(Place::of_cgroup("0::/system.slice/sshd.service\n"), None);
    /// ```
    #[must_use]
    pub fn of_cgroup(text: &'a str) -> Option<Self> {
        text.lines().filter_map(|line| line.splitn(3, ':').nth(2)).find_map(Self::of_path)
    }

    fn of_path(path: &'a str) -> Option<Self> {
        let mut components = path.split('/');
        while let Some(component) = components.next() {
            // `kubepods-pod<uid>.slice:cri-containerd:<id>` is how systemd's paths look to a runtime that makes them itself.
            let (slice, rest) = component.split_once(".slice:").unwrap_or((component, ""));
            let Some(pod) = pod_of_component(slice) else { continue };
            let inside = || components.clone().next().filter(|name| !name.is_empty());
            let name = if rest.is_empty() { inside() } else { Some(component) };
            return Some(Self { pod, container: name.and_then(enrich::id_of_component) });
        }
        None
    }
}

/// `pod<uid>`, `kubepods-besteffort-pod<uid>.slice`, `kubelet-kubepods-pod<uid>.slice`.
fn pod_of_component(component: &str) -> Option<PodUid> {
    let name = component.strip_suffix(".slice").unwrap_or(component);
    let uid = match name.strip_prefix("pod") {
        Some(uid) => uid,
        None => name.rsplit_once("-pod")?.1,
    };
    uid.parse().ok()
}

/// The UID of the Pod that the reader of `/proc/self/mountinfo` is in: the kubelet mounts `/etc/hosts` from the Pod's folder,
/// `…/pods/<uid>/etc-hosts`. For a container whose control group is the root of what it sees.
#[must_use]
pub fn pod_of_mounts(mountinfo: &str) -> Option<PodUid> {
    // Field 4 is the path in the file system that is mounted, field 5 where.
    mountinfo.lines().find_map(|line| {
        let root = line.split(' ').nth(3)?;
        let mut parts = root.split('/').skip_while(|part| *part != "pods").skip(1);
        parts.next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "6f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f";

    #[test]
    fn every_runtime_driver_and_version() {
        let id = "0123456789abcdef".repeat(4);
        let escaped = UID.replace('-', "_");
        for path in [
            // cgroupfs: guaranteed, burstable, best effort.
            format!("/kubepods/pod{UID}/{id}"),
            format!("/kubepods/burstable/pod{UID}/{id}"),
            format!("/kubepods/besteffort/pod{UID}/{id}"),
            format!("/kubepods/besteffort/pod{UID}/crio-{id}"),
            // systemd: the same with each runtime.
            format!("/kubepods.slice/kubepods-pod{escaped}.slice/cri-containerd-{id}.scope"),
            format!(
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{escaped}.slice/cri-containerd-{id}.scope"
            ),
            format!("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/crio-{id}.scope"),
            format!(
                "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{escaped}.slice/crio-{id}.scope/container"
            ),
            format!("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{escaped}.slice/docker-{id}.scope"),
            format!("/system.slice/containerd.service/kubepods-burstable-pod{escaped}.slice:cri-containerd:{id}"),
            // A node that is a container itself (kind), with both drivers.
            format!("/docker/{}/kubelet/kubepods/burstable/pod{UID}/{id}", "a".repeat(64)),
            format!(
                "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{escaped}.slice/cri-containerd-{id}.scope"
            ),
            // From a namespace of the reader's own.
            format!("/../../pod{UID}/{id}"),
            format!("/../../../besteffort/pod{UID}/{id}"),
            format!("/../../kubepods-besteffort-pod{escaped}.slice/cri-containerd-{id}.scope"),
            // A container inside the container: Kubernetes knows the outer one.
            format!("/kubepods/pod{UID}/{id}/docker/{}", "b".repeat(64)),
        ] {
            let expected = Some(Place::new(UID.parse().unwrap(), Some(&id)));
            assert_eq!(Place::of_cgroup(&format!("0::{path}\n")), expected, "version 2: {path}");
            let v1 = format!("12:pids:{path}\n11:cpu,cpuacct:{path}\n1:name=systemd:{path}\n");
            assert_eq!(Place::of_cgroup(&v1), expected, "version 1: {path}");
            let hybrid = format!("12:pids:{path}\n0::/\n");
            assert_eq!(Place::of_cgroup(&hybrid), expected, "both: {path}");
        }
    }

    #[test]
    fn what_is_in_no_pod_or_in_no_container() {
        for text in [
            "",
            "0::/\n",
            "0::/init.scope\n",
            "0::/system.slice/containerd.service\n",
            "0::/kubepods/burstable\n",
            "0::/kubepods.slice/kubepods-burstable.slice\n",
            "0::/kubepods/podman/0123\n",
            "0::/kubepods/pod6f1ed002-ab59-4c1c-9a3d\n",
            "0::/kubepods/pod6f1ed002+ab59-4c1c-9a3d-0c1b2a3d4e5f\n",
            "0::/machine.slice/libpod-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope\n",
        ] {
            assert_eq!(Place::of_cgroup(text), None, "{text:?}");
        }
        let text = format!("0::/kubepods/pod{UID}\n");
        assert_eq!(Place::of_cgroup(&text).unwrap().container, None);
        let text = format!("0::/kubepods/pod{UID}/notanid\n");
        assert_eq!(Place::of_cgroup(&text).unwrap().container, None);
    }

    #[test]
    fn static_pods_have_a_checksum() {
        let text = "0::/kubepods/burstable/pod1a2b3c4d5e6f708192a3b4c5d6e7f809/x\n";
        let pod = Place::of_cgroup(text).unwrap().pod;
        assert!(pod.is_static());
        assert_eq!(pod.to_string(), "1a2b3c4d5e6f708192a3b4c5d6e7f809");
        let uid: PodUid = UID.parse().unwrap();
        assert!(!uid.is_static() && uid.to_string() == UID);
    }

    #[test]
    fn the_pod_by_its_mounts() {
        let line = |root: &str| {
            format!("1 2 0:3 / / rw - overlay o rw\n603 586 254:1 {root} /etc/hosts rw - ext4 /dev/vda1 rw\n")
        };
        let uid = Some(UID.parse().unwrap());
        assert_eq!(pod_of_mounts(&line(&format!("/var/lib/kubelet/pods/{UID}/etc-hosts"))), uid);
        // A disk of its own for the kubelet.
        assert_eq!(pod_of_mounts(&line(&format!("/pods/{UID}/etc-hosts"))), uid);
        assert_eq!(pod_of_mounts(&line("/var/lib/docker/containers/x/hosts")), None);
        assert_eq!(pod_of_mounts(""), None);
    }

    proptest::proptest! {
        /// Whatever stands there: no panic, and a UID that is found reads as itself.
        #[test]
        fn any_text_is_a_place_or_none(text in "(0::|[0-9a-z,:/.\n]{0,8})(/|\\.|kubepods|-?pod[0-9a-f_-]{30,38}|\\.slice|:|[0-9a-f]{64}|\\PC){0,12}") {
            if let Some(place) = Place::of_cgroup(&text) {
                proptest::prop_assert_eq!(place.pod.to_string().parse(), Ok(place.pod));
            }
            let _ = pod_of_mounts(&text);
        }
    }
}
