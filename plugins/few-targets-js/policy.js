// At most so many clusters behind a name, other ones for every record. See README.md.

/** What `configure` leaves behind; every decision starts from it. */
let most = 2;

const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Configuration of few-targets-js",
  type: "object",
  additionalProperties: false,
  properties: {
    most: { description: "Clusters behind a name.", type: "integer", minimum: 1, maximum: 1000, default: 2 },
  },
};

/** Continues a hash; the same on every machine. Every operation counts here: it runs for each letter of each cluster. */
function hash(text, hash = 7) {
  for (let i = 0; i < text.length; i++) {
    hash = (hash * 31 + text.charCodeAt(i)) | 0;
  }
  return hash;
}

/** The last letters would hardly touch the upper bits, and these decide the order (the end of MurmurHash3). */
function mixed(hash) {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export const lifecycle = {
  describe: () => ({
    name: "few-targets-js",
    version: "0.1.0",
    aspects: ["selection"],
    needs: {
      addresses: false,
      clusterNames: true,
      clusterLabels: [],
      annotations: [],
      fqdns: false,
      readyEndpoints: false,
      stateAge: false,
    },
    configSchema: JSON.stringify(schema),
  }),

  configure(config) {
    most = JSON.parse(config).most ?? 2;
  },
};

export const selection = {
  select(subject, places, fleet, questions) {
    const found = look(subject, fleet);
    return questions.map(({ place, fallback }) => {
      if (fallback.tag === "always-alias-of") {
        return decision({ tag: "otherwise" }, "always an alias");
      }
      const { serving, best } = at(found, place) ?? new Place();
      const answer = best.length
        ? { tag: "clusters", val: best.map(({ index }) => index).sort((a, b) => a - b) }
        : { tag: "otherwise" };
      return decision(answer, `${best.length} of ${serving} clusters that serve`);
    });
  },
};

/**
 * A place, and the best of the clusters that serve in it. Their order is another one for every record: when a cluster
 * fails the next one takes its place, and no other record notices.
 */
class Place {
  serving = 0;
  best = [];

  add(cluster) {
    const best = this.best;
    this.serving++;
    if (best.length === most && cluster.rank <= best[most - 1].rank) return;
    let at = best.length;
    while (at > 0 && best[at - 1].rank < cluster.rank) at--;
    best.splice(at, 0, cluster);
    if (best.length > most) best.pop();
  }
}

/** Looks at each cluster once. */
function look(subject, fleet) {
  const { names, regions, zones, zoneCounts, addressCounts } = fleet;
  const ofRecord = hash(`${subject.namespace}/${subject.service}/`);
  const found = { everywhere: new Place(), regions: [], zones: [] };
  let zone = 0;
  for (let index = 0; index < names.length; index++) {
    const end = zone + zoneCounts[index];
    if (addressCounts[index] > 0) {
      const cluster = { index, rank: mixed(hash(names[index], ofRecord)) };
      found.everywhere.add(cluster);
      (found.regions[regions[index]] ??= new Place()).add(cluster);
      for (let i = zone; i < end; i++) (found.zones[zones[i]] ??= new Place()).add(cluster);
    }
    zone = end;
  }
  return found;
}

function at(found, place) {
  switch (place.tag) {
    case "region":
      return found.regions[place.val];
    case "zone":
      return found.zones[place.val];
    default:
      return found.everywhere;
  }
}

function decision(answer, because) {
  return { answer, because, recheckAfterSeconds: null };
}
