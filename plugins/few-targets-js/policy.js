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

/** FNV-1a: the same on every machine. */
function hash(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  // The last characters would hardly touch the upper bits, and these decide the order.
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) >>> 0;
  return (hash ^ (hash >>> 13)) >>> 0;
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
    const clusters = columns(subject, fleet);
    return questions.map(({ place, fallback }) => {
      if (fallback.tag === "always-alias-of") {
        return decision({ tag: "otherwise" }, "always an alias");
      }
      const offering = clusters.filter((cluster) => isIn(cluster, place));
      // The best of a list that has an order of its own for every record. When a cluster fails the next one takes its
      // place, and no other record notices.
      const chosen = offering.sort((a, b) => b.rank - a.rank || a.index - b.index).slice(0, most);
      const answer = chosen.length
        ? { tag: "clusters", val: chosen.map((cluster) => cluster.index).sort((a, b) => a - b) }
        : { tag: "otherwise" };
      return decision(answer, `${chosen.length} of ${offering.length} clusters that serve`);
    });
  },
};

/** The clusters that offer addresses. */
function columns(subject, fleet) {
  let zone = 0;
  const all = fleet.names.map((name, index) => {
    const zones = fleet.zones.slice(zone, (zone += fleet.zoneCounts[index]));
    const rank = hash(`${subject.namespace}/${subject.service}/${name}`);
    return { index, region: fleet.regions[index], zones, rank, offers: fleet.addressCounts[index] > 0 };
  });
  return all.filter((cluster) => cluster.offers);
}

function isIn(cluster, place) {
  switch (place.tag) {
    case "region":
      return cluster.region === place.val;
    case "zone":
      return cluster.zones.includes(place.val);
    default:
      return true;
  }
}

function decision(answer, because) {
  return { answer, because, recheckAfterSeconds: null };
}
