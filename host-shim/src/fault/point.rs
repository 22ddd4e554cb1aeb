//! The points, each with its name and with whether the system can fail there.
//!
//! Invariant: the list is complete by construction, because a point that is not in
//! it cannot be written down; the harness reads it from the binary and fails when
//! one of them was never reached. What happens at a point is not said here.

/// Defines the points; their names are compiled only where something reads them.
macro_rules! points {
    ($($point:ident = $name:literal $(, $fails:ident)?;)*) => {
        /// A place in the order of writes, requests and records.
        ///
        /// Not `Debug`: derived, it would put the names into every binary.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Point {
            $(#[doc = $name] $point,)*
        }

        #[cfg(feature = "fault-points")]
        impl Point {
            /// Every point there is.
            pub(super) const ALL: &[Self] = &[$(Self::$point,)*];

            /// Its name, as the environment gives it.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$point => $name,)* }
            }

            /// Whether the system can fail there, and not only this process.
            pub(super) const fn can_fail(self) -> bool {
                match self { $(Self::$point => points!(@fails $($fails)?),)* }
            }
        }
    };
    (@fails) => { false };
    (@fails fails) => { true };
}

points! {
    // The journal: files that are made once, every append, every fsync.
    RedactionKeyWritten = "journal.redaction-key.written";
    HeadCreated = "journal.head.created";
    OwnerWritten = "journal.owner.written";
    OwnerEnlisted = "journal.owner.enlisted";
    RecoveryBefore = "journal.recovery.before-append";
    RecoveryAppended = "journal.recovery.appended";
    RecoveryBuried = "journal.recovery.buried";
    AppendBefore = "journal.append.before-write", fails;
    AppendHalf = "journal.append.half-written", fails;
    AppendWritten = "journal.append.written";
    SyncBefore = "journal.sync.before-fsync", fails;
    SyncAfter = "journal.sync.after-fsync";
    HeadBefore = "journal.head.before-advance";
    HeadHalf = "journal.head.half-written";
    HeadAdvanced = "journal.head.advanced";
    HeadSyncBefore = "journal.head.before-fsync", fails;
    HeadSyncAfter = "journal.head.after-fsync";
    RotateBefore = "journal.rotation.before-rename", fails;
    RotateRenamed = "journal.rotation.renamed";
    RotateOpened = "journal.rotation.opened";
    KeysBefore = "journal.keys.before-store", fails;
    KeysStored = "journal.keys.stored";

    // Turns at a file: the ticket, and that of a process that died.
    LeaseDrawn = "journal.lease.drawn", fails;
    LeaseClaimed = "journal.lease.claimed";
    LeaseHeld = "journal.lease.held";
    LeaseDead = "journal.lease.dead-found";
    LeaseSettled = "journal.lease.dead-settled";
    LeaseBuried = "journal.lease.dead-removed";
    LeaseReturning = "journal.lease.before-return";
    LeaseReturned = "journal.lease.returned";

    // Files replaced in one step: registry, its backup, keys, known hosts, trust.
    ReplaceBefore = "file.replace.before-write", fails;
    ReplaceHalf = "file.replace.half-written", fails;
    ReplaceWritten = "file.replace.before-fsync", fails;
    ReplaceSynced = "file.replace.before-rename";
    ReplaceRenamed = "file.replace.renamed";
    ReplaceDone = "file.replace.directory-synced";
    CreateBefore = "file.create.before-write", fails;
    CreateWritten = "file.create.before-fsync", fails;
    CreateDone = "file.create.done";
    KeyAnnounced = "key.rotation.announced";
    KeyKept = "key.rotation.kept";
    KeySealed = "key.rotation.sealed";

    // Snapshots: each object, the branch, the default branch.
    SnapshotsCreated = "snapshots.open.created";
    SnapshotsSettings = "snapshots.open.settings-written";
    SnapshotBefore = "snapshots.commit.before-blob", fails;
    SnapshotBlob = "snapshots.commit.blob-written";
    SnapshotTree = "snapshots.commit.trees-written";
    SnapshotCommit = "snapshots.commit.commit-written", fails;
    SnapshotMoved = "snapshots.commit.branch-moved";

    // The index of a branch, and packing.
    IndexBefore = "snapshots.index.before-save", fails;
    IndexHalf = "snapshots.index.half-written", fails;
    IndexWritten = "snapshots.index.before-rename";
    IndexSaved = "snapshots.index.saved";
    PackBefore = "snapshots.pack.before", fails;
    PackWritten = "snapshots.pack.written", fails;
    PackSynced = "snapshots.pack.synced";
    PackProven = "snapshots.pack.proven";
    PackLooseGone = "snapshots.pack.loose-removed";
    PackTableGone = "snapshots.pack.table-removed";
    PackDone = "snapshots.pack.done";

    // Questions that wait for a person, and their answers.
    PendingKeep = "approvals.pending.before-keep";
    PendingKept = "approvals.pending.kept";
    PendingAnswer = "approvals.pending.before-answer";
    PendingAnswered = "approvals.pending.answered";
    PendingTake = "approvals.pending.before-take";
    PendingUnlinked = "approvals.pending.unlinked", fails;
    PendingTaken = "approvals.pending.taken";

    // SSH: dialling, channels, commands.
    DialBefore = "ssh.dial.before";
    DialDone = "ssh.dial.logged-in";
    ChannelBefore = "ssh.channel.before-open";
    ChannelOpened = "ssh.channel.opened";
    ShellReady = "ssh.exec.shell-ready";
    CommandBefore = "ssh.exec.before-send";
    CommandSent = "ssh.exec.sent";
    CommandEnded = "ssh.exec.ended";

    // SFTP: every request, and the steps of a write.
    SftpOpened = "sftp.session.opened";
    SftpRequest = "sftp.request.before";
    TemporaryBefore = "sftp.write.before-temporary";
    TemporaryOpened = "sftp.write.temporary-opened";
    DataPart = "sftp.write.part-confirmed";
    DataWritten = "sftp.write.data-confirmed";
    ModeSet = "sftp.write.mode-set";
    RemoteSyncBefore = "sftp.write.before-fsync";
    RemoteSynced = "sftp.write.synced";
    Compared = "sftp.write.compared";
    RenameBefore = "sftp.write.before-rename";
    RenameSent = "sftp.write.rename-sent";
    Renamed = "sftp.write.renamed";
    ReadBack = "sftp.write.read-back";
    RemoveBefore = "sftp.remove.before";
    Removed = "sftp.remove.done";

    // Files as root: what is staged, what root's script is sent, what is cleared.
    StageBefore = "sudo.stage.before";
    StageMade = "sudo.stage.made";
    StageFilled = "sudo.stage.filled";
    InstallBefore = "sudo.install.before";
    InstallDone = "sudo.install.done";
    Unstaged = "sudo.stage.cleared";
    RootRemoveBefore = "sudo.remove.before";
    RootRemoved = "sudo.remove.done";
    RootClearBefore = "sudo.clear.before";
    RootCleared = "sudo.clear.done";

    // The order of records around an effect, and the answer.
    IntentBefore = "supervisor.intent.before";
    IntentDone = "supervisor.intent.recorded";
    ApprovalDone = "supervisor.approval.recorded";
    KeptBefore = "supervisor.snapshot.before-kept";
    AttemptBefore = "supervisor.attempt.before";
    AttemptDone = "supervisor.attempt.recorded";
    EffectDone = "supervisor.effect.done";
    KeptAfter = "supervisor.snapshot.after-kept";
    OutcomeBefore = "supervisor.outcome.before";
    OutcomeDone = "supervisor.outcome.recorded";
    SettleKeeping = "supervisor.settle.before-kept";
    SettleBefore = "supervisor.settle.before-record";
    SettleDone = "supervisor.settle.recorded";
    LeftoverFound = "supervisor.leftover.found";
    LeftoverRemoved = "supervisor.leftover.removed";
    LeftoverRecorded = "supervisor.leftover.recorded";
    ReplyBefore = "bridge.reply.before";
}
