//! The names of errors that servers give to clients.

/// The longest of a number that a name holds.
const MAX_DIGITS: usize = 10;

/// Whether it is the name of an [error](https://www.mongodb.com/docs/manual/reference/error-codes/), or of a place in the
/// server's code (`Location40324`). What is none of them may be anything.
pub(super) fn is_known(name: &[u8]) -> bool {
    if let Some(digits) = name.strip_prefix(b"Location") {
        return (1..=MAX_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    }
    NAMES.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
}

/// In the order of their bytes.
#[rustfmt::skip]
static NAMES: [&str; 257] = [
    "APIDeprecationError", "APIMismatchError", "APIStrictError", "APIVersionError", "AdmissionQueueOverflow",
    "AlreadyInitialized", "AmbiguousIndexKeyPattern", "AtomicityFailure", "AuthSchemaIncompatible",
    "AuthenticationAbandoned", "AuthenticationFailed", "AuthenticationRestrictionUnmet", "BSONObjectTooLarge",
    "BackgroundOperationInProgressForDatabase", "BackgroundOperationInProgressForNamespace",
    "BackupCursorOpenConflictWithCheckpoint", "BadValue", "CallbackCanceled", "CannotBackup", "CannotBuildIndexKeys",
    "CannotConvertIndexToUnique", "CannotCreateCollection", "CannotCreateIndex", "CannotDropShardKeyIndex",
    "CannotImplicitlyCreateCollection", "CannotIndexParallelArrays", "CannotMutateObject",
    "CannotSatisfyWriteConcern", "CappedPositionLost", "ChangeStreamFatalError", "ChangeStreamHistoryLost",
    "ChangeStreamInvalidated", "ChangeStreamNotEnabled", "ChangeStreamTopologyChange", "ChecksumMismatch",
    "ChunkRangeCleanupPending", "ClientDisconnect", "ClientMarkedKilled", "ClientMetadataAppNameTooLarge",
    "ClientMetadataCannotBeMutated", "ClientMetadataDocumentTooLarge", "ClientMetadataMissingField",
    "CloseChangeStream", "CollectionIsEmpty", "CollectionUUIDMismatch", "CommandFailed", "CommandNotFound",
    "CommandNotSupported", "CommandNotSupportedOnView", "CommandOnShardedViewNotSupportedOnMongod",
    "CommandResultSchemaViolation", "ConfigurationInProgress", "ConflictingOperationInProgress",
    "ConflictingUpdateOperators", "ConversionFailure", "CursorInUse", "CursorKilled", "CursorNotFound",
    "DNSHostNotFound", "DNSProtocolError", "DNSRecordTypeMismatch", "DatabaseDifferCase", "DatabaseDropPending",
    "DocTooLargeForCapped", "DocumentValidationFailure", "DollarPrefixedFieldName", "DottedFieldName", "DuplicateKey",
    "DuplicateSession", "DurationOverflow", "ElectionInProgress", "EmptyArrayOperation", "EmptyFieldName",
    "ExceededMemoryLimit", "ExceededTimeLimit", "ExhaustCommandFinished", "FailPointEnabled", "FailedToParse",
    "FailedToSatisfyReadPreference", "FileNotOpen", "FileOpenFailed", "FileStreamFailed", "GraphContainsCycle",
    "HostNotFound", "HostUnreachable", "IDLDuplicateField", "IDLFailedToParse", "IDLUnknownField", "IllegalOpMsgFlag",
    "IllegalOperation", "ImmutableField", "IncompatibleServerVersion", "IncompatibleShardingConfigVersion",
    "IndexAlreadyExists", "IndexBuildAborted", "IndexBuildAlreadyInProgress", "IndexKeySpecsConflict",
    "IndexModified", "IndexNotFound", "IndexOptionsConflict", "InitialSyncActive", "InternalError",
    "InternalErrorNotSupported", "InternalTransactionNotSupported", "Interrupted", "InterruptedAtShutdown",
    "InterruptedDueToReplStateChange", "InterruptedDueToStorageChange", "InvalidBSON", "InvalidBSONType",
    "InvalidDBRef", "InvalidIdField", "InvalidIndexSpecificationOption", "InvalidJWT", "InvalidLength",
    "InvalidNamespace", "InvalidOptions", "InvalidPath", "InvalidPipelineOperator", "InvalidReplicaSetConfig",
    "InvalidResumeToken", "InvalidRoleModification", "InvalidSSLConfiguration", "InvalidUUID",
    "InvalidViewDefinition", "JSInterpreterFailure", "JSInterpreterFailureWithStack", "JSUncatchableError",
    "KeyNotFound", "LegacyNotPrimary", "LibmongocryptError", "LinearizableReadConcernError",
    "LoadBalancerSupportMismatch", "LockBusy", "LockFailed", "LockNotFound", "LockTimeout", "MaxStalenessOutOfRange",
    "MaxSubPipelineDepthExceeded", "MaxTimeMSExpired", "MechanismUnavailable", "MergeStageNoMatchingDocument",
    "MigrationConflict", "MovePrimaryInProgress", "MultipleErrorsOccurred", "NamespaceCannotBeSharded",
    "NamespaceExists", "NamespaceNotFound", "NamespaceNotSharded", "NetworkInterfaceExceededTimeLimit",
    "NetworkTimeout", "NoMatchParseContext", "NoMatchingDocument", "NoProjectionFound", "NoQueryExecutionPlans",
    "NoReplicationEnabled", "NoSuchKey", "NoSuchSession", "NoSuchTransaction", "NodeNotElectable", "NodeNotFound",
    "NonConformantBSON", "NonExistentPath", "NotAReplicaSet", "NotARetryableWriteCommand", "NotExactValueField",
    "NotImplemented", "NotMaster", "NotMasterNoSlaveOk", "NotMasterOrSecondary", "NotPrimaryNoSecondaryOk",
    "NotPrimaryOrSecondary", "NotSecondary", "NotSingleValueField", "NotWritablePrimary", "NotYetInitialized",
    "ObjectIsBusy", "OperationCannotBeBatched", "OperationFailed", "OperationNotSupportedInTransaction",
    "OplogOperationUnsupported", "OptionNotSupportedOnView", "OutOfDiskSpace", "OutdatedClient", "Overflow",
    "PathNotViable", "PreparedTransactionInProgress", "PrimarySteppedDown", "PrivilegeNotFound", "ProtocolError",
    "QueryExceededMemoryLimitNoDiskUseAllowed", "QueryFeatureNotAllowed", "QueryPlanKilled",
    "QueryRejectedBySettings", "RangeOverlapConflict", "ReadConcernMajorityNotAvailableYet",
    "ReadConcernMajorityNotEnabled", "ReauthenticationRequired", "RemoteChangeDetected", "ReplicaSetNotFound",
    "ReshardCollectionAborted", "ReshardCollectionInProgress", "ResourceExhausted", "RetryChangeStream",
    "RetryableTransactionInProgress", "RoleNotFound", "RolesNotRelated", "SSLHandshakeFailed", "SearchNotEnabled",
    "ShardKeyNotFound", "ShardNotFound", "ShutdownInProgress", "SnapshotTooOld", "SnapshotUnavailable",
    "SocketException", "StaleChunkHistory", "StaleClusterTime", "StaleConfig", "StaleDbVersion", "StaleEpoch",
    "StaleShardVersion", "SymbolNotFound", "TemporarilyUnavailable", "TooManyDocumentSequences", "TooManyFilesOpen",
    "TooManyLocks", "TooManyLogicalSessions", "TooManyMatchingDocuments", "TransactionCommitted",
    "TransactionExceededLifetimeLimitSeconds", "TransactionTooLarge", "TransactionTooLargeForCache",
    "TransactionTooOld", "TransportSessionClosed", "TxnRetryCounterTooOld", "TypeMismatch", "Unauthorized",
    "UnknownError", "UnknownReplWriteConcern", "UnsatisfiableCommitQuorum", "UnsatisfiableWriteConcern",
    "UnsupportedFormat", "UnsupportedOpQueryCommand", "UpdateOperationFailed", "UserModificationFailed",
    "UserNotFound", "UserWritesBlocked", "ViewDepthLimitExceeded", "ViewPipelineMaxSizeExceeded",
    "WouldChangeOwningShard", "WriteConcernFailed", "WriteConcernLegacyOK", "WriteConcernTimeout", "WriteConflict",
    "ZLibError", "ZoneNotFound", "ZoneStillInUse",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known() {
        assert!(NAMES.is_sorted());
        for name in NAMES.into_iter().chain(["Location7", "Location4938500"]) {
            assert!(is_known(name.as_bytes()), "{name}");
        }
        for name in ["", "Bad", "badValue", "BadValues", "Location", "Location1x", "Location12345678901", "LocationX"] {
            assert!(!is_known(name.as_bytes()), "{name}");
        }
    }
}
