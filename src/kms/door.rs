//! The one way in.
//!
//! ```text
//! authenticate → resolve the key → authorise → check the key's state → act
//!   → make the record durable (with the changes) → answer
//! ```
//!
//! A call is decided on a snapshot of the world without holding anything. Then it takes its place in the order: under
//! the head's lock, and if the world has changed since the snapshot, the call is decided again. So no success ever
//! stands in the log after the DisableKey or the PutKeyPolicy that forbids it. It is answered when the writer has made
//! its record durable.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
};

use serde_json::{Map, Value, json};

use super::{
    Call, CallError, CallOptions, Caller, Clock, Explanation, Operation, Outcome, Question,
    authentication::Authenticated,
    commit::{Committer, Entry, Head, Recorded, STOPPED, Sinks},
    explanation::Witness,
    secrets::Secrets,
    service_keys::ServiceKey,
    tick,
    user_identity::user_identity,
};
use crate::{
    audit::{
        DecisionStore, EVENT_VERSION, EventType, Hash, LogPosition, RECORD_BYTES_MAX, Record, Remembered,
        ResourceEntry,
    },
    crypto::random::Random,
    model::{AccountId, ErrorCode, KeyArn, Timestamp},
    policy::DecisionEffect,
    world::{Settings, World},
};

/// The pipeline that every call goes through.
pub(crate) struct Door {
    committer: Committer,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    random: Mutex<Box<dyn Random>>,
    decisions: DecisionStore,
    watcher: OnceLock<Watcher>,
}

/// Hears how each call was decided, allowed or denied.
type Watcher = Box<dyn Fn(&Explanation) + Send + Sync>;

/// A call that was decided and is not recorded yet.
struct Decided<O: Operation, R = Recorded> {
    outcome: Result<Outcome<O>, CallError>,
    records: Vec<R>,
    /// How it was decided, when that was asked for or it was denied.
    explanation: Option<Explanation>,
}

impl<O: Operation, R> Decided<O, R> {
    fn failed(error: CallError, records: Vec<R>) -> Self {
        Self { outcome: Err(error), records, explanation: None }
    }
}

impl Door {
    /// Opens the door to this world.
    pub(crate) fn open(
        world: World,
        secrets: Secrets,
        sinks: Sinks,
        clock: Arc<dyn Clock>,
        random: Box<dyn Random>,
        decisions: DecisionStore,
    ) -> std::io::Result<Self> {
        let (committer, watcher) = (Committer::start(world, sinks)?, OnceLock::new());
        Ok(Self { committer, secrets, clock, random: Mutex::new(random), decisions, watcher })
    }

    /// Lets somebody hear how every call from now on is decided. There is one watcher at most: a second one is not heard.
    pub(crate) fn watch(&self, watcher: Box<dyn Fn(&Explanation) + Send + Sync>) {
        let _one_alone = self.watcher.set(watcher);
    }

    /// Makes a call, and waits until its record is durable.
    ///
    /// # Errors
    ///
    /// What the operation answers, or `KMSInternalException` when nothing can be recorded any more.
    pub(crate) fn call<O: Operation>(&self, caller: &Caller, operation: &O) -> Result<O::Answer, CallError> {
        self.call_with(caller, operation, &CallOptions::default())
    }

    /// The same with grant tokens, or as a dry run.
    pub(crate) fn call_with<O: Operation>(
        &self,
        caller: &Caller,
        operation: &O,
        options: &CallOptions,
    ) -> Result<O::Answer, CallError> {
        let (waiter, durable) = mpsc::sync_channel(1);
        self.submit_with(caller, operation, options, move |answer| drop(waiter.send(answer)));
        durable.recv().unwrap_or_else(|_| Err(CallError::internal(STOPPED)))
    }

    /// Makes a call without waiting: `done` hears the answer when its record is durable, on the writer's thread, and
    /// must be quick. It is dropped unheard when the writer dies.
    pub(crate) fn submit_with<O: Operation>(
        &self,
        caller: &Caller,
        operation: &O,
        options: &CallOptions,
        done: impl FnOnce(Result<O::Answer, CallError>) + Send + 'static,
    ) {
        match self.take_place(caller, operation, options) {
            Err(error) => done(Err(error)),
            Ok((mut head, decided)) => {
                let (changes, outcome) = match decided.outcome {
                    Ok(mut outcome) => (std::mem::take(&mut outcome.changes), Ok(outcome.answer)),
                    Err(error) => (Vec::new(), Err(error)),
                };
                let entry = Entry { records: decided.records, changes };
                head.push(entry, Some(Box::new(move |durable| done(durable.and(outcome)))));
                self.committer.release(head);
            }
        }
    }

    /// Decides a call, on the newest world; whoever holds the head that comes with it is next in order.
    fn take_place<O: Operation>(
        &self,
        caller: &Caller,
        operation: &O,
        options: &CallOptions,
    ) -> Result<(MutexGuard<'_, Head>, Decided<O>), CallError> {
        let (snapshot, version) = self.tick()?;
        let mut decided = self.decide(&snapshot, caller, operation, options);
        // Before the place is taken: who is denied waits for this, and nobody else.
        self.keep(decided.explanation.as_ref());
        let mut head = self.committer.lock();
        head.check()?;
        // Time may have been moved meanwhile, and what it does comes before what is decided after it.
        self.tick_head(&mut head)?;
        if head.version() != version {
            let newest = Arc::clone(head.world());
            decided = self.decide(&newest, caller, operation, options);
            self.keep(decided.explanation.as_ref());
        }
        if let (Some(watcher), Some(explanation)) = (self.watcher.get(), &decided.explanation) {
            watcher(explanation);
        }
        Ok((head, decided))
    }

    /// Keeps how a call was denied, for later.
    fn keep(&self, explanation: Option<&Explanation>) {
        if let Some(explanation) = explanation
            && let Some(id) = &explanation.decision_id
            && let Err(error) = self.decisions.keep(id, explanation.to_bytes())
        {
            tracing::warn!(%error, "how this denial was decided could not be kept");
        }
    }

    /// How a denied call was decided, by what its record says of the decision.
    pub(crate) fn decision(&self, id: &str, commitment: &Hash) -> std::io::Result<Remembered> {
        self.decisions.get(id, commitment)
    }

    /// Answers a question about a call, as the call would be decided now. Nothing is done and nothing recorded.
    ///
    /// # Errors
    ///
    /// When there is no such caller, or nothing that the question names.
    pub(crate) fn explain(&self, caller: &Caller, question: &Question) -> Result<Explanation, CallError> {
        let (world, _) = self.tick()?;
        let mut caller = caller.clone();
        if let Some(address) = question.source_ip {
            caller = caller.from_address(address);
        }
        if let Some(service) = question.via {
            caller = caller.through(service);
        }
        let authenticated = Authenticated::look_up(&world, &caller, self.now(&world))?;
        let (now, mut random) = (self.now(&world), self.random());
        let mut call = Call {
            world: &world,
            caller: &caller,
            authenticated: &authenticated,
            now,
            random: random.as_mut(),
            materials: &self.secrets.materials,
            credentials: &self.secrets.credentials,
            row: question.row(),
            asked: RefCell::default(),
            resources: Vec::new(),
            witness: Witness::new(true),
            vouched: None,
            supposed: Some(&question.supposed),
        };
        let note = question.ask(&mut call)?;
        let mut trace = call.witness.trace().ok_or_else(|| CallError::internal("nothing was decided"))?;
        trace.notes.extend(note);
        Ok(Explanation { decision_id: None, time: now, event_name: None, trace })
    }

    /// What a call would come to now, without acting or recording: for work that must not begin in vain. The call itself
    /// is to follow, whatever the answer.
    pub(crate) fn preview<O: Operation>(
        &self,
        caller: &Caller,
        operation: &O,
    ) -> Result<O::Answer, CallError> {
        let (snapshot, _) = self.tick()?;
        self.decide(&snapshot, caller, operation, &CallOptions::default())
            .outcome
            .map(|outcome| outcome.answer)
    }

    /// Lets time do what has fallen due, and answers the world as it is then.
    fn tick(&self) -> Result<(Arc<World>, u64), CallError> {
        let mut head = self.committer.lock();
        head.check()?;
        self.tick_head(&mut head)?;
        let snapshot = (Arc::clone(head.world()), head.version());
        self.committer.release(head);
        Ok(snapshot)
    }

    fn tick_head(&self, head: &mut Head) -> Result<(), CallError> {
        while let Some(due) = tick::due(head.world(), self.now(head.world())) {
            let entry = tick::act(head.world(), due, &self.secrets.materials, self.random().as_mut())?;
            head.push(entry, None);
        }
        Ok(())
    }

    fn random(&self) -> Box<dyn Random> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    fn now(&self, world: &World) -> Timestamp {
        self.clock.now().plus_millis(world.settings().clock_offset_millis)
    }

    /// The newest world, after time has done what has fallen due.
    pub(crate) fn world(&self) -> Result<Arc<World>, CallError> {
        self.tick().map(|(world, _)| world)
    }

    /// A service's key, made now if this is its first use.
    pub(crate) fn service_key(&self, which: &ServiceKey) -> Result<KeyArn, CallError> {
        self.tick()?;
        let mut head = self.committer.lock();
        head.check()?;
        if let Some(arn) = which.find(head.world()) {
            return Ok(arn);
        }
        let now = self.now(head.world());
        let (arn, entry) =
            which.create(head.world(), now, &self.secrets.materials, self.random().as_mut())?;
        head.push(entry, None);
        self.committer.release(head);
        Ok(arn)
    }

    /// Waits until all that was decided is durable, and answers how far the log reaches then.
    pub(crate) fn settle(&self) -> Result<LogPosition, CallError> {
        let (waiter, durable) = mpsc::sync_channel(1);
        let mut head = self.committer.lock();
        head.check()?;
        head.push(Entry::default(), Some(Box::new(move |result| drop(waiter.send(result)))));
        self.committer.release(head);
        durable.recv().unwrap_or_else(|_| Err(CallError::internal(STOPPED)))?;
        Ok(self.committer.lock().durable())
    }

    /// What holds for the keystore as a whole.
    pub(crate) fn settings(&self) -> Settings {
        self.committer.lock().world().settings().clone()
    }

    /// Fails when there is no such caller, or the writer has latched.
    pub(crate) fn check_exists(&self, caller: &Caller) -> Result<(), CallError> {
        let head = self.committer.lock();
        head.check()?;
        Authenticated::look_up(head.world(), caller, self.now(head.world())).map(|_| ())
    }

    /// What unwraps the secrets of credentials.
    #[cfg(feature = "server")]
    pub(super) fn credentials(&self) -> &super::secrets::Credentials {
        &self.secrets.credentials
    }

    /// What time it is in the keystore.
    pub(crate) fn time(&self) -> Timestamp {
        self.now(self.committer.lock().world())
    }

    /// Stops the writer and answers what it wrote to, with the last world and the secrets' wrapping keys.
    ///
    /// # Errors
    ///
    /// When the writer has latched: what it wrote to is not to be believed then.
    pub(crate) fn close(self) -> Result<(Arc<World>, Secrets, Sinks), CallError> {
        let (world, sinks) = self.committer.stop()?;
        Ok((world, self.secrets, sinks))
    }

    /// Decides a call. One whose record would be longer than a record may be is refused: it could not be logged.
    fn decide<O: Operation>(
        &self,
        world: &World,
        caller: &Caller,
        operation: &O,
        options: &CallOptions,
    ) -> Decided<O> {
        let mut decided = self.decide_at_any_length(world, caller, operation, options);
        if options.dry_run {
            mark_dry_run(&mut decided.records);
        }
        let recorded = |records: &[Record]| records.iter().map(Recorded::from).collect::<Vec<_>>();
        let mut records = recorded(&decided.records);
        if records.iter().any(|record| record.len() > RECORD_BYTES_MAX) {
            let error = CallError::validation("The request is too long.");
            decided.records.truncate(1);
            for record in &mut decided.records {
                record.request_parameters = json!({"omitted": "too long"});
                record.response_elements = Value::Null;
                record.additional_event_data = None;
                record.resources.clear();
                record.set_error(error.code(), error.message());
            }
            records = recorded(&decided.records);
            decided.outcome = Err(error);
            decided.explanation = None;
        }
        Decided { outcome: decided.outcome, records, explanation: decided.explanation }
    }

    fn decide_at_any_length<O: Operation>(
        &self,
        world: &World,
        caller: &Caller,
        operation: &O,
        options: &CallOptions,
    ) -> Decided<O, Record> {
        let now = self.now(world);
        let mut random = self.random();
        let authenticated = match Authenticated::look_up(world, caller, now) {
            Ok(authenticated) => authenticated,
            Err(error) => {
                let record = self.record(world, caller, None, operation, now, random.as_mut());
                let records = record.map(|record| vec![failed(record, &error)]);
                return match records {
                    Ok(records) => Decided::failed(error, records),
                    Err(error) => Decided::failed(error, Vec::new()),
                };
            }
        };
        let mut call = Call {
            world,
            caller,
            authenticated: &authenticated,
            now,
            random: random.as_mut(),
            materials: &self.secrets.materials,
            credentials: &self.secrets.credentials,
            row: O::ROW,
            asked: RefCell::default(),
            resources: Vec::new(),
            witness: Witness::new(self.watcher.get().is_some()),
            vouched: None,
            supposed: None,
        };
        let within_reach = authenticated.check_reach(O::EVENT_SOURCE, O::NAME);
        let mut outcome = within_reach.and_then(|()| run(operation, &mut call, options));
        let (resources, witness) = (std::mem::take(&mut call.resources), std::mem::take(&mut call.witness));
        let vouched = call.vouched.take();
        // What a service does with its own keys is in no customer's log. A customer who tries to is in it.
        if caller.account().is_of_the_services() {
            return Decided { outcome, records: Vec::new(), explanation: None };
        }
        let finish = || {
            let mut record =
                self.record(world, caller, Some(&authenticated), operation, now, random.as_mut())?;
            record.user_identity = vouched.unwrap_or(record.user_identity);
            let explanation = explanation::<O>(&mut outcome, &witness, now, random.as_mut())?;
            let mut records = finished(record, &mut outcome, resources, caller, random.as_mut());
            note_decision(&mut records, &outcome, explanation.as_ref(), &witness);
            Ok((records, explanation))
        };
        match finish() {
            Ok((records, explanation)) => Decided { outcome, records, explanation },
            Err(error) => Decided::failed(error, Vec::new()),
        }
    }

    /// The record of this call, before its outcome.
    fn record<O: Operation>(
        &self,
        world: &World,
        caller: &Caller,
        found: Option<&Authenticated>,
        operation: &O,
        now: Timestamp,
        random: &mut dyn Random,
    ) -> Result<Record, CallError> {
        Ok(Record {
            event_version: EVENT_VERSION.into(),
            user_identity: user_identity(caller, found),
            event_time: now,
            event_source: O::EVENT_SOURCE.into(),
            event_name: O::NAME.into(),
            aws_region: world.settings().region.clone(),
            source_ip_address: caller.source_ip().into(),
            user_agent: caller.user_agent().into(),
            error_code: None,
            error_message: None,
            request_parameters: operation.request_parameters(),
            response_elements: Value::Null,
            additional_event_data: None,
            request_id: Some(match caller.request_id() {
                Some(id) => id.to_owned(),
                None => random.uuid()?,
            }),
            event_id: random.uuid()?,
            read_only: O::READ_ONLY,
            resources: Vec::new(),
            event_type: EventType::AwsApiCall,
            management_event: !O::DATA_EVENT,
            recipient_account_id: caller.account(),
            shared_event_id: None,
            vpc_endpoint_id: caller.vpc_endpoint().map(ToString::to_string),
            service_event_details: None,
            event_category: if O::DATA_EVENT { "Data" } else { "Management" }.into(),
            tls_details: caller.tls_details().cloned(),
        })
    }
}

/// Decides and acts, as far as the options say.
fn run<O: Operation>(
    operation: &O,
    call: &mut Call<'_>,
    options: &CallOptions,
) -> Result<Outcome<O>, CallError> {
    options.check(call.world, O::NAME, O::ROW)?;
    let outcome = operation.run(call)?;
    // INVARIANT: no KMS operation succeeds without each permission that its row names.
    if let Some(pair) = O::ROW.and_then(|row| row.unasked(&call.asked.borrow())) {
        return Err(CallError::internal(format!("{} did not ask for {pair:?}", O::NAME)));
    }
    if options.dry_run { Err(CallOptions::would_succeed()) } else { Ok(outcome) }
}

/// Says in the records that nothing was to happen.
fn mark_dry_run(records: &mut [Record]) {
    for record in records {
        match &mut record.request_parameters {
            Value::Object(parameters) => drop(parameters.insert("dryRun".into(), json!(true))),
            other => *other = json!({"dryRun": true}),
        }
    }
}

/// How a call was decided: of one that was denied with an id, under which its error and its record name it too.
fn explanation<O: Operation>(
    outcome: &mut Result<Outcome<O>, CallError>,
    witness: &Witness,
    now: Timestamp,
    random: &mut dyn Random,
) -> Result<Option<Explanation>, CallError> {
    let Some(trace) = witness.trace() else { return Ok(None) };
    let mut decision_id = None;
    if let Err(error) = outcome
        && error.code() == ErrorCode::AccessDenied
        && trace.effect != DecisionEffect::Allowed
    {
        let id = timed_uuid(now, random)?;
        *error = error.clone().remembered_as(Some(&id));
        decision_id = Some(id);
    }
    Ok(Some(Explanation { decision_id, time: now, event_name: Some(O::NAME.into()), trace }))
}

/// What the record says of the decision. A denial names it and commits to its bytes; a success says in a word what
/// allowed it, and that in the caller's account alone: whose policies are like what is not for others to learn.
fn note_decision<O: Operation>(
    records: &mut [Record],
    outcome: &Result<Outcome<O>, CallError>,
    explanation: Option<&Explanation>,
    witness: &Witness,
) {
    let Some(record) = records.first_mut() else { return };
    let mut note = |name: &str, value: Value| {
        record.additional_event_data.get_or_insert_default().insert(name.into(), value);
    };
    match outcome {
        Ok(_) => {
            let allowed_by = witness.allowed_by();
            if !allowed_by.is_empty() {
                note("allowedBy", Value::Array(allowed_by));
            }
        }
        Err(error) => {
            if let Some(id) = error.decision() {
                note("decisionId", json!(id));
            }
            if let Some(explanation) = explanation.filter(|explanation| explanation.decision_id.is_some()) {
                let commitment = DecisionStore::commitment(&explanation.to_bytes());
                note("decisionSha256", json!(hex::encode(commitment)));
            }
        }
    }
}

/// A UUID that begins with the time (RFC 9562, version 7), so that the older sorts before the newer.
fn timed_uuid(now: Timestamp, random: &mut dyn Random) -> Result<String, CallError> {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    Ok(uuid::Builder::from_unix_timestamp_millis(millis, &random.array()?).into_uuid().to_string())
}

fn failed(mut record: Record, error: &CallError) -> Record {
    record.set_error(error.code(), error.message());
    record
}

/// The records of a decided call: one in the caller's account, and after a success also one in each other account whose
/// key it used, bound together by a shared id. A denial shows in the caller's account alone.
fn finished<O: Operation>(
    mut record: Record,
    outcome: &mut Result<Outcome<O>, CallError>,
    resources: Vec<ResourceEntry>,
    caller: &Caller,
    random: &mut dyn Random,
) -> Vec<Record> {
    let own = caller.account();
    let others: BTreeSet<AccountId> =
        resources.iter().map(|resource| &resource.account_id).filter(|one| **one != own).cloned().collect();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            // Nor does the record of a denial tell whether somebody else's key exists.
            record.resources = resources.into_iter().filter(|one| one.account_id == own).collect();
            return vec![failed(record, error)];
        }
    };
    record.resources = resources;
    record.response_elements = std::mem::take(&mut outcome.response_elements);
    record.additional_event_data =
        Some(std::mem::take(&mut outcome.additional)).filter(|facts: &Map<_, _>| !facts.is_empty());
    let mut records = vec![record];
    for account in others {
        let (Ok(event_id), Some(first)) = (random.uuid(), records.first_mut()) else { return records };
        let shared = first.shared_event_id.get_or_insert_with(|| event_id.clone()).clone();
        let mut copy = first.clone();
        copy.event_id = event_id;
        copy.shared_event_id = Some(shared);
        copy.recipient_account_id = account;
        records.push(copy);
    }
    records
}
