//! Labels and annotations: those that are read, and those that are written.

/// Annotation, `true` on a Pod that has been instrumented: it is not touched again.
pub const INJECTED: &str = "obtrace.io/injected";
/// Annotation: the language of the main container.
pub const DETECTED_LANGUAGE: &str = "obtrace.io/detected-language";
/// Annotation: the framework of the main container, where one is known.
pub const DETECTED_FRAMEWORK: &str = "obtrace.io/detected-framework";
/// Annotation: `sdk`, `ebpf` or `hybrid`.
pub const STRATEGY: &str = "obtrace.io/strategy";
/// Annotation: container names with their languages as a JSON object, where more than one is instrumented.
pub const CONTAINERS: &str = "obtrace.io/containers";
/// Annotation: by which [`Configuration`](crate::Configuration) the Pod was instrumented.
pub const CONFIGURATION: &str = "obtrace.io/configuration";
/// Annotation: which containers could have been instrumented and were left alone, and why.
pub const SKIPPED_REASON: &str = "obtrace.io/skipped-reason";
/// Annotation: what the Pod itself had where that cannot be told from the result, for [`revert`](crate::revert).
pub const ORIGINAL: &str = "obtrace.io/original";
/// Label, `true` on a Pod that has been instrumented.
pub const INSTRUMENTED: &str = "obtrace.io/instrumented";

/// Input, annotation or label: `true` leaves the Pod alone.
pub const EXCLUDE: &str = "obtrace.io/exclude";
/// Input, label: the language, from somebody who knows.
pub const LANGUAGE: &str = "obtrace.io/language";
/// Input, label: the environment's name.
pub const ENVIRONMENT: &str = "obtrace.io/environment";

/// The cluster autoscaler does not move Pods with local volumes unless they are named here.
pub const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
/// Names the container that people mean when they name none.
pub(crate) const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";
