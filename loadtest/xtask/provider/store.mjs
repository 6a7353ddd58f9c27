// Everything the provider remembers, in one Map.
//
// The library's own default keeps 1,000 entries and forgets the oldest: under load that would end
// sessions which the gateway did nothing wrong with.

/** How many writes pass between two sweeps of expired entries: keeps long runs flat in memory. */
const WRITES_PER_SWEEP = 2000;

const entries = new Map();
const membersOfGrant = new Map();
let writes = 0;

const now = () => Math.floor(Date.now() / 1000);

function sweep() {
  const at = now();
  for (const [key, entry] of entries) {
    if (entry.endsAt !== undefined && entry.endsAt < at) {
      forget(key, entry);
    }
  }
}

function forget(key, entry) {
  entries.delete(key);
  const members = membersOfGrant.get(entry.payload.grantId);
  members?.delete(key);
  if (members?.size === 0) {
    membersOfGrant.delete(entry.payload.grantId);
  }
}

/** The adapter contract of oidc-provider: one instance per model, all over the same Map. */
export class MapStore {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const key = this.key(id);
    entries.set(key, { payload, endsAt: expiresIn ? now() + expiresIn : undefined });
    if (payload.grantId) {
      const members = membersOfGrant.get(payload.grantId) ?? new Set();
      membersOfGrant.set(payload.grantId, members.add(key));
    }
    writes += 1;
    if (writes % WRITES_PER_SWEEP === 0) {
      sweep();
    }
  }

  async find(id) {
    return entries.get(this.key(id))?.payload;
  }

  async findByUid(uid) {
    return this.firstWhere((payload) => payload.uid === uid);
  }

  async findByUserCode(userCode) {
    return this.firstWhere((payload) => payload.userCode === userCode);
  }

  async consume(id) {
    const entry = entries.get(this.key(id));
    if (entry) {
      entry.payload.consumed = now();
    }
  }

  async destroy(id) {
    const key = this.key(id);
    const entry = entries.get(key);
    if (entry) {
      forget(key, entry);
    }
  }

  async revokeByGrantId(grantId) {
    const prefix = this.key('');
    for (const key of [...(membersOfGrant.get(grantId) ?? [])]) {
      if (key.startsWith(prefix)) {
        forget(key, entries.get(key));
      }
    }
  }

  firstWhere(matches) {
    const prefix = this.key('');
    for (const [key, { payload }] of entries) {
      if (key.startsWith(prefix) && matches(payload)) {
        return payload;
      }
    }
    return undefined;
  }
}
