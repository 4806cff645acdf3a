//! The names of errors that servers give to clients.

/// The longest of a number that a name holds.
const MAX_DIGITS: usize = 10;

/// Whether it is the name of an [error](https://www.mongodb.com/docs/manual/reference/error-codes/), or of a place in the
/// server's code (`Location40324`). What is none of those that are known here may be anything.
pub(super) fn is_known(name: &[u8]) -> bool {
    if let Some(digits) = name.strip_prefix(b"Location") {
        return (1..=MAX_DIGITS).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    }
    NAMES.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
}

/// In the order of their bytes.
#[rustfmt::skip]
static NAMES: [&str; 380] = [
    "APIDeprecationError", "APIMismatchError", "APIStrictError", "APIVersionError", "AdmissionQueueOverflow",
    "AlarmAlreadyFulfilled", "AlreadyInitialized", "AmbiguousIndexKeyPattern", "AtomicityFailure", "AuditingNotEnabled",
    "AuthSchemaIncompatible", "AuthenticationAbandoned", "AuthenticationFailed", "AuthenticationRestrictionUnmet",
    "BSONObjectTooLarge", "BackgroundOperationInProgressForDatabase", "BackgroundOperationInProgressForNamespace",
    "BackupCursorOpenConflictWithCheckpoint", "BadPerfCounterPath", "BadValue", "BalancerInterrupted", "BrokenPromise",
    "CallbackCanceled", "CanRepairToDowngrade", "CannotApplyOplogWhilePrimary", "CannotBackfillArray", "CannotBackup",
    "CannotBuildIndexKeys", "CannotConvertIndexToUnique", "CannotCreateCollection", "CannotCreateIndex",
    "CannotDowngrade", "CannotDropShardKeyIndex", "CannotGrowDocumentInCappedNamespace",
    "CannotImplicitlyCreateCollection", "CannotIndexParallelArrays", "CannotInitializeNodeWithData",
    "CannotMutateObject", "CannotReuseObject", "CannotSatisfyWriteConcern", "CannotSplit",
    "CannotVerifyAndSignLogicalTime", "CappedPositionLost", "ChangeStreamFatalError", "ChangeStreamHistoryLost",
    "ChangeStreamInvalidated", "ChangeStreamNotEnabled", "ChangeStreamStartAfterInvalidate",
    "ChangeStreamTopologyChange", "ChecksumMismatch", "ChunkRangeCleanupPending", "ChunkTooBig", "ClientDisconnect",
    "ClientMarkedKilled", "ClientMetadataAppNameTooLarge", "ClientMetadataCannotBeMutated",
    "ClientMetadataDocumentTooLarge", "ClientMetadataMissingField", "CloseChangeStream", "ClusterTimeFailsRateLimiter",
    "CollectionIsEmpty", "CollectionUUIDMismatch", "CommandFailed", "CommandNotFound", "CommandNotSupported",
    "CommandNotSupportedOnView", "CommandOnShardedViewNotSupportedOnMongod", "CommandResultSchemaViolation",
    "ConfigServerUnreachable", "ConfigurationInProgress", "ConflictingOperationInProgress",
    "ConflictingUpdateOperators", "ConversionFailure", "CurrentConfigNotCommittedYet", "CursorInUse", "CursorKilled",
    "CursorNotFound", "DBPathInUse", "DNSHostNotFound", "DNSProtocolError", "DNSRecordTypeMismatch",
    "DataCorruptionDetected", "DataModifiedByRepair", "DatabaseDifferCase", "DatabaseDropPending",
    "DistributedClockSkewed", "DocTooLargeForCapped", "DocumentValidationFailure", "DollarPrefixedFieldName",
    "DottedFieldName", "DuplicateKey", "DuplicateSession", "DurationOverflow", "ElectionInProgress",
    "EmptyArrayOperation", "EmptyFieldName", "EncounteredFLEPayloadWhileRedacting", "ExceededMemoryLimit",
    "ExceededTimeLimit", "ExhaustCommandFinished", "FLECompactionPlaceholder", "FLEMaxTagLimitExceeded",
    "FLETransactionAbort", "FTDCPathAlreadySet", "FTDCPathNotSet", "FailPointEnabled", "FailPointSetFailed",
    "FailedToParse", "FailedToSatisfyReadPreference", "FileAlreadyOpen", "FileNotOpen", "FileOpenFailed",
    "FileRenameFailed", "FileStreamFailed", "FreeMonHttpInFlight", "FreeMonHttpPermanentFailure",
    "FreeMonHttpTemporaryFailure", "GraphContainsCycle", "HostNotFound", "HostUnreachable", "IDLDuplicateField",
    "IDLFailedToParse", "IDLUnknownField", "IllegalOpMsgFlag", "IllegalOperation", "ImmutableField",
    "IncompatibleAuditMetadata", "IncompatibleCatalogManager", "IncompatibleCollationVersion",
    "IncompatibleElectionProtocol", "IncompatibleRollbackAlgorithm", "IncompatibleServerVersion",
    "IncompatibleShardingConfigVersion", "IncompatibleShardingMetadata", "IncompatibleWithUpgradedServer",
    "IncompleteTransactionHistory", "InconsistentReplicaSetNames", "InconsistentShardIdentity", "IndexAlreadyExists",
    "IndexBuildAborted", "IndexBuildAlreadyInProgress", "IndexKeySpecsConflict", "IndexModified", "IndexNotFound",
    "IndexOptionsConflict", "IngressRequestRateLimitExceeded", "InitialSyncActive", "InitialSyncFailure",
    "InitialSyncOplogSourceMissing", "InternalError", "InternalErrorNotSupported", "InternalTransactionNotSupported",
    "Interrupted", "InterruptedAtShutdown", "InterruptedDueToReplStateChange", "InterruptedDueToStorageChange",
    "InvalidBSON", "InvalidBSONType", "InvalidDBRef", "InvalidHeartBeatFrequency", "InvalidIdField",
    "InvalidIndexSpecificationOption", "InvalidJWT", "InvalidLength", "InvalidNamespace", "InvalidOptions",
    "InvalidPath", "InvalidPipelineOperator", "InvalidReplicaSetConfig", "InvalidResumeToken",
    "InvalidRoleModification", "InvalidSSLConfiguration", "InvalidSeedList", "InvalidServerType", "InvalidSyncSource",
    "InvalidTopologyType", "InvalidUUID", "InvalidViewDefinition", "JSInterpreterFailure",
    "JSInterpreterFailureWithStack", "JSUncatchableError", "KeyNotFound", "KeyPatternShorterThanBound",
    "KeyedExecutorRetry", "LegacyNotPrimary", "LibmongocryptError", "LinearizableReadConcernError",
    "LoadBalancerSupportMismatch", "LockBusy", "LockFailed", "LockNotFound", "LockStateChangeFailed", "LockTimeout",
    "LogWriteFailed", "ManualInterventionRequired", "MasterSlaveConnectionFailure", "MaxStalenessOutOfRange",
    "MaxSubPipelineDepthExceeded", "MaxTimeMSExpired", "MechanismUnavailable", "MergeStageNoMatchingDocument",
    "MigrationBlockingOperationCoordinatorCleaningUp", "MigrationConflict", "MovePrimaryInProgress",
    "MultipleErrorsOccurred", "MustDowngrade", "MustUpgrade", "NamespaceCannotBeSharded", "NamespaceExists",
    "NamespaceNotFound", "NamespaceNotSharded", "NetworkInterfaceExceededTimeLimit", "NetworkTimeout",
    "NewReplicaSetConfigurationIncompatible", "NoConfigPrimary", "NoMatchParseContext", "NoMatchingDocument",
    "NoProgressMade", "NoProjectionFound", "NoQueryExecutionPlans", "NoReplicationEnabled", "NoShardingEnabled",
    "NoSuchKey", "NoSuchReshardCollection", "NoSuchSession", "NoSuchTenantMigration", "NoSuchTransaction",
    "NodeNotElectable", "NodeNotFound", "NonConformantBSON", "NonExistentPath", "NonRetryableTenantMigrationConflict",
    "NotAReplicaSet", "NotARetryableWriteCommand", "NotExactValueField", "NotImplemented", "NotMaster",
    "NotMasterNoSlaveOk", "NotMasterOrSecondary", "NotPrimaryNoSecondaryOk", "NotPrimaryOrSecondary", "NotSecondary",
    "NotSingleValueField", "NotWritablePrimary", "NotYetInitialized", "OCSPCertificateStatusRevoked",
    "OCSPCertificateStatusUnknown", "ObjectIsBusy", "OfflineValidationFailedToComplete", "OperationCannotBeBatched",
    "OperationFailed", "OperationIncomplete", "OperationNotSupportedInTransaction", "OplogOperationUnsupported",
    "OplogOutOfOrder", "OplogQueryMinTsMissing", "OplogStartMissing", "OptionNotSupportedOnView",
    "OrphanedRangeCleanUpFailed", "OutOfDiskSpace", "OutdatedClient", "Overflow", "PathNotViable",
    "PeriodicJobIsStopped", "PooledConnectionAcquisitionExceededTimeLimit", "PooledConnectionsDropped",
    "PreparedTransactionInProgress", "PrimarySteppedDown", "PrivilegeNotFound", "ProducerConsumerQueueBatchTooLarge",
    "ProducerConsumerQueueConsumed", "ProducerConsumerQueueEndClosed",
    "ProducerConsumerQueueProducerQueueDepthExceeded", "ProtocolError", "QueryExceededMemoryLimitNoDiskUseAllowed",
    "QueryFeatureNotAllowed", "QueryPlanKilled", "QueryRejectedBySettings", "RPCProtocolNegotiationFailed",
    "RangeDeletionAbandonedBecauseCollectionWithUUIDDoesNotExist",
    "RangeDeletionAbandonedBecauseTaskDocumentDoesNotExist", "RangeOverlapConflict",
    "ReadConcernMajorityNotAvailableYet", "ReadConcernMajorityNotEnabled", "ReauthenticationRequired",
    "ReentrancyNotAllowed", "RemoteChangeDetected", "RemoteOplogStale", "RemoteResultsUnavailable",
    "RemoteValidationError", "RepairedReplicaSetNode", "ReplicaSetMonitorRemoved", "ReplicaSetNotFound",
    "ReshardCollectionAborted", "ReshardCollectionCommitted", "ReshardCollectionInProgress",
    "ReshardCollectionTruncatedError", "ReshardingCriticalSectionTimeout", "ResourceExhausted",
    "ResumableRangeDeleterDisabled", "RetryChangeStream", "RetryableTransactionInProgress", "RoleDataInconsistent",
    "RoleModificationFailed", "RoleNotFound", "RolesNotRelated", "RuntimeAuditConfigurationNotEnabled",
    "SSLHandshakeFailed", "SearchNotEnabled", "SecondaryAheadOfPrimary", "SessionTransferIncomplete",
    "ShardCannotRefreshDueToLocksHeld", "ShardInvalidatedForTargeting", "ShardKeyNotFound", "ShardNotFound",
    "ShardingStateNotInitialized", "ShutdownInProgress", "SnapshotTooOld", "SnapshotUnavailable", "SocketException",
    "SplitHorizonChange", "StaleChunkHistory", "StaleClusterTime", "StaleConfig", "StaleDbVersion", "StaleEpoch",
    "StaleShardVersion", "StaleTerm", "SymbolNotFound", "TemporarilyUnavailable", "TenantMigrationAborted",
    "TenantMigrationCommitted", "TenantMigrationConflict", "TenantMigrationForgotten", "TenantMigrationInProgress",
    "TimeProofMismatch", "TimeseriesBucketCompressionFailed", "TooManyDocumentSequences", "TooManyFilesOpen",
    "TooManyLocks", "TooManyLogicalSessions", "TooManyMatchingDocuments", "TopologySetNameRequired",
    "TransactionCommitted", "TransactionExceededLifetimeLimitSeconds", "TransactionTooLarge",
    "TransactionTooLargeForCache", "TransactionTooOld", "TransportSessionClosed", "TransportSessionNotFound",
    "TransportSessionUnknown", "TxnRetryCounterTooOld", "TypeMismatch", "Unauthorized", "UnknownError",
    "UnknownFeatureCompatibilityVersion", "UnknownReplWriteConcern", "UnrecoverableRollbackError",
    "UnsatisfiableCommitQuorum", "UnsatisfiableWriteConcern", "UnsupportedFormat", "UnsupportedOpQueryCommand",
    "UnsupportedShardingEventNotification", "UpdateOperationFailed", "UserDataInconsistent", "UserModificationFailed",
    "UserNotFound", "UserWritesBlocked", "ViewDepthLimitExceeded", "ViewPipelineMaxSizeExceeded", "WindowsPdhError",
    "WouldChangeOwningShard", "WouldChangeOwningShardDeletedNoDocument", "WriteConcernFailed", "WriteConcernLegacyOK",
    "WriteConcernTimeout", "WriteConflict", "ZLibError", "ZoneNotFound", "ZoneStillInUse",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known() {
        assert!(NAMES.is_sorted());
        for name in NAMES.into_iter().chain(["IncompleteTransactionHistory", "Location7", "Location4938500"]) {
            assert!(is_known(name.as_bytes()), "{name}");
        }
        for name in ["", "Bad", "badValue", "BadValues", "Location", "Location1x", "Location12345678901", "LocationX"] {
            assert!(!is_known(name.as_bytes()), "{name}");
        }
    }
}
