#!/usr/bin/env python3
"""fog's classifier beside scikit-learn, on one machine in one run.

Both use one thread; what is compared is CPU time (user and system, of all threads), the median of interleaved runs. scikit-learn's time is
that of the fit alone. fog's is that of the whole process, which reads the file too.

    apt-get install python3-sklearn
    go build -o build/fog ./cmd/fog && bench/classify.py            # all (hours)
    bench/classify.py --runs 1 --seeds 3 --only gmm,memory          # a look

Prints a table for people and, with --json FILE, writes all figures. Exits 1 if a figure is not reached.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "GOMAXPROCS"):
    os.environ[name] = "1"

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = ("versions", "likelihood", "gmm", "kmeans", "auto", "memory")
SETS = {"A": 1, "B": 2}  # and their seeds
K = DIM = 8

# What runs in a process of its own, so that no run pays for another: argv is a JSON object, the last line of output another.
CHILD = r"""
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np
a = json.loads(sys.argv[1])
x = np.fromfile(a["file"], dtype="<f8").reshape(-1, a["dim"])
out = {}
def precisions(labels, k, reg=1e-6):
    w, m, p = [], [], []
    for c in range(k):
        r = x[labels == c]
        w.append(len(r) / len(x)); m.append(r.mean(0))
        p.append(np.linalg.inv(np.cov(r.T, bias=True) + reg * np.eye(a["dim"])))
    return np.array(w), np.array(m), np.array(p)
if a["what"] == "kmeans":
    from sklearn.cluster import KMeans
    t = time.process_time()
    m = KMeans(a["k"], n_init=a["starts"], random_state=a["seed"]).fit(x)
    out = {"cpu": time.process_time() - t, "inertia": m.inertia_, "iterations": int(m.n_iter_)}
elif a["what"] == "gmm":
    from sklearn.mixture import GaussianMixture
    t = time.process_time()
    m = GaussianMixture(a["k"], n_init=a["starts"], random_state=a["seed"]).fit(x)
    out = {"cpu": time.process_time() - t, "iterations": int(m.n_iter_), "ll": m.score(x)}
elif a["what"] == "truth":
    from sklearn.mixture import GaussianMixture
    w, m, p = precisions(np.loadtxt(a["labels"], dtype=int), a["k"])
    g = GaussianMixture(a["k"], weights_init=w, means_init=m, precisions_init=p, tol=a["tol"], max_iter=500).fit(x)
    out = {"ll": g.score(x), "bic": g.bic(x), "iterations": int(g.n_iter_)}
elif a["what"] == "score":
    from scipy.special import logsumexp
    p = json.load(open(a["model"]))["parameters"]
    n, k, d = len(x), len(p["weights"]), a["dim"]
    total = 0.0
    for part in np.array_split(x, max(1, n // 50000)):
        l = np.empty((len(part), k))
        for c in range(k):
            s = np.zeros((d, d)); s[np.tril_indices(d)] = p["covariances"][c]; s = s + np.tril(s, -1).T
            f = np.linalg.cholesky(s)
            y = np.linalg.solve(f, (part - np.array(p["means"][c])).T)
            l[:, c] = np.log(p["weights"][c]) - .5 * ((y * y).sum(0) + d * np.log(2 * np.pi)) - np.log(np.diag(f)).sum()
        total += logsumexp(l, axis=1).sum()
    out = {"ll": total / n}
elif a["what"] == "versions":
    import sklearn, scipy
    try:
        from threadpoolctl import threadpool_info
        blas = [(i["internal_api"], i["version"], i["num_threads"]) for i in threadpool_info()]
    except ImportError:
        blas = "unknown (no threadpoolctl)"
    out = {"sklearn": sklearn.__version__, "numpy": np.__version__, "scipy": scipy.__version__, "blas": blas}
print(json.dumps(out))
"""


class Bench:
    def __init__(self, options, folder):
        self.o, self.folder = options, folder
        self.figures, self.checks = {}, []

    def path(self, name):
        return os.path.join(self.folder, name)

    def data(self, kind, n, k=K, seed=None, name=None):
        """The files of a generated set: rows and labels."""
        seed = SETS[kind] if seed is None else seed
        base = self.path(name or f"{kind}{n}")
        if not os.path.exists(base + ".f64"):
            subprocess.run([self.gen, "-set", kind, "-n", str(n), "-k", str(k), "-dim", str(DIM), "-seed", str(seed), "-o", base + ".f64",
                            "-labels", base + ".labels"], check=True)
        return base + ".f64", base + ".labels"

    def sk(self, what, file="/dev/null", **more):
        spec = dict(what=what, file=file, dim=DIM, k=K, starts=1, seed=0) | more
        done = subprocess.run([self.o.python, "-c", CHILD, json.dumps(spec)], check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    def fog(self, file, algorithm, seed, k=K, *more):
        done = subprocess.run([self.o.fog, "--quiet", "classify", "fit", "--input", file, "--dim", str(DIM), "--algorithm", algorithm, "--k", str(k),
                               "--seed", str(seed), "--output", "json", *more], check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout)

    def check(self, name, value, limit, ok, note=""):
        self.checks.append({"name": name, "value": value, "limit": limit, "reached": bool(ok)})
        print(f"{'reached' if ok else 'NOT reached':12} {name}: {value} (must be {limit}) {note}", flush=True)

    def interleaved(self, **runs):
        """The runs by turns; of each, the results of all turns."""
        results = {name: [] for name in runs}
        for turn in range(self.o.runs):
            for name, run in runs.items():
                results[name].append(run(turn))
        return results

    def versions(self):
        self.figures["versions"] = v = self.sk("versions") | {
            "fog": subprocess.run([self.o.fog, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip(),
            "go": subprocess.run(["go", "version"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip(),
            "python": platform.python_version(), "machine": platform.platform(), "cpus": os.cpu_count(), "load": os.getloadavg(),
        }
        for name, value in v.items():
            print(f"{name:8} {value}")

    def likelihood(self):
        """The log-likelihood of every seed against EM from the true labels, both computed by one program."""
        for kind in self.o.sets:
            for n in self.o.sizes:
                file, labels = self.data(kind, n)
                truth = self.sk("truth", file, labels=labels, tol=1e-7)["ll"]
                seeds, gaps = range(1, self.o.seeds + 1), []
                for seed in seeds:
                    model = self.path("model.json")
                    r = self.fog(file, "gmm", seed, K, "--model", model)
                    mine = self.sk("score", file, model=model)["ll"] if seed == 1 else r["log_likelihood"]
                    if abs(mine - r["log_likelihood"]) > 1e-9:
                        self.check(f"{kind} {n}: fog's own log-likelihood", r["log_likelihood"], mine, False)
                    gaps.append(truth - r["log_likelihood"])
                good = sum(g <= 1e-4 for g in gaps)
                self.figures[f"likelihood {kind} {n}"] = {"truth": truth, "gaps": gaps}
                self.check(f"{kind} {n}: seeds within 1e-4 of EM from the true labels ({truth:.6f})", f"{good} of {len(gaps)}", "all",
                           good == len(gaps), f"largest gap {max(gaps):.2e}")

    def gmm(self):
        """CPU time of a fit of B with the most rows."""
        n = max(self.o.sizes)
        file, _ = self.data("B", n)
        r = self.interleaved(fog=lambda t: self.fog(file, "gmm", t + 1), sk=lambda t: self.sk("gmm", file, seed=t))
        ours = statistics.median(x["cpu_seconds"] for x in r["fog"])
        one = statistics.median(x["cpu"] for x in r["sk"])
        self.figures["gmm"] = {"fog": [x["cpu_seconds"] for x in r["fog"]], "fog_ll": [x["log_likelihood"] for x in r["fog"]],
                               "sklearn": [x["cpu"] for x in r["sk"]], "sklearn_ll": [x["ll"] for x in r["sk"]]}
        self.check(f"B {n} GMM: CPU against one start of scikit-learn", f"{one / ours:.1f}× less ({ours:.2f} s, {one:.2f} s)", "≥ 5×", one >= 5 * ours)
        ten = statistics.median(self.sk("gmm", file, starts=10, seed=t)["cpu"] for t in range(self.o.ten))if self.o.ten else 10 * one
        how = "" if self.o.ten else "ten times one start: "
        self.figures["gmm"]["sklearn ten"] = ten
        self.check(f"B {n} GMM: CPU against ten starts", f"{ten / ours:.1f}× less ({how}{ten:.1f} s)", "≥ 20×", ten >= 20 * ours)

    def kmeans(self):
        """Inertia against the ten starts of scikit-learn, at half its CPU."""
        for kind in self.o.sets:
            for n in self.o.sizes:
                file, _ = self.data(kind, n)
                r = self.interleaved(sk=lambda t: self.sk("kmeans", file, starts=10, seed=t), fog=lambda t: self.fog(file, "kmeans", t + 1))
                best = min(x["inertia"] for x in r["sk"])
                theirs = statistics.median(x["cpu"] for x in r["sk"])
                ours = statistics.median(x["cpu_seconds"] for x in r["fog"])
                inertias = [self.fog(file, "kmeans", s)["inertia"] for s in range(1, self.o.seeds + 1)]
                good = sum(i <= 1.0001 * best for i in inertias)
                self.figures[f"kmeans {kind} {n}"] = {"sklearn": r["sk"], "fog_cpu": [x["cpu_seconds"] for x in r["fog"]], "inertias": inertias}
                need = -(-18 * len(inertias) // 20)
                self.check(f"{kind} {n} k-means: inertia ≤ 1.0001 × ten starts ({best:.6g})", f"{good} of {len(inertias)} seeds", f"≥ {need}", good >= need,
                           f"worst {max(inertias) / best:.6f}×")
                self.check(f"{kind} {n} k-means: CPU against ten starts", f"{ours / theirs:.2f} of it ({ours:.2f} s, {theirs:.2f} s)", "≤ 0.5", ours <= theirs / 2)

    def auto(self):
        """--k auto against the BIC of EM from the true labels."""
        good, rows = 0, []
        for i in range(self.o.auto):
            k = (3, 5, 8, 12)[i % 4]
            file, labels = self.data("B", self.o.auto_rows, k, 1000 + i, f"auto{i}")
            truth = self.sk("truth", file, labels=labels, tol=1e-9, k=k)["bic"]
            r = self.fog(file, "gmm", i + 1, "auto")
            # The slack is that of printing a sum of some hundred thousand in double precision, not of the fit.
            ok = r["bic"] <= truth + 1e-6 * abs(truth) if self.o.slack else r["bic"] <= truth
            good += ok
            rows.append({"k": k, "chosen": r["k"], "bic": r["bic"], "truth": truth, "cpu": r["cpu_seconds"]})
            print(f"             true k {k}, chosen {r['k']}: BIC {r['bic']:.3f}, from the labels {truth:.3f} ({r['bic'] - truth:+.4f}), {r['cpu_seconds']:.1f} s CPU", flush=True)
            os.remove(file)
        self.figures["auto"] = rows
        need = -(-18 * len(rows) // 20)
        self.check(f"--k auto on {len(rows)} sets of {self.o.auto_rows}: BIC no higher than from the true labels", good, f"≥ {need}", good >= need)

    def memory(self):
        """Peak memory of the whole process, the program's own pages included."""
        empty = self.path("empty.f64")
        with open(empty, "wb") as f:
            f.write(bytes(8 * DIM * 16))
        base = self.fog(empty, "kmeans", 1, 2)["peak_rss_bytes"]
        for kind in self.o.sets:
            for n in self.o.sizes:
                file, _ = self.data(kind, n)
                for algorithm in ("kmeans", "gmm"):
                    peak, limit = self.fog(file, algorithm, 1)["peak_rss_bytes"], 2 * os.path.getsize(file) + (64 << 20)
                    self.figures[f"memory {kind} {n} {algorithm}"] = {"peak": peak, "limit": limit, "of 16 rows": base}
                    self.check(f"{kind} {n} {algorithm}: peak memory", f"{peak / 2**20:.0f} MiB", f"≤ {limit / 2**20:.0f} MiB", peak <= limit,
                               f"of which the program alone {base / 2**20:.0f} MiB")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--fog", default=os.path.join(ROOT, "build", "fog"), help="the program (default build/fog)")
    p.add_argument("--python", default="/usr/bin/python3", help="the Python that has scikit-learn")
    p.add_argument("--only", default=",".join(PARTS), help=f"parts: {','.join(PARTS)}")
    p.add_argument("--runs", type=int, default=5, help="interleaved runs of which the median counts")
    p.add_argument("--seeds", type=int, default=20)
    p.add_argument("--sets", default="A,B", type=lambda s: s.split(","))
    p.add_argument("--sizes", default="100000,1000000", type=lambda s: [int(x) for x in s.split(",")])
    p.add_argument("--ten", type=int, default=1, help="runs of scikit-learn's ten starts of GMM; 0: count ten times one start")
    p.add_argument("--auto", type=int, default=20, help="generated sets for --k auto")
    p.add_argument("--auto-rows", type=int, default=20000)
    p.add_argument("--slack", action="store_true", help="allow a BIC one part in a million above")
    p.add_argument("--data", help="folder to keep the data sets in (default: a temporary one)")
    p.add_argument("--json", help="file for all figures")
    o = p.parse_args()
    if not os.path.exists(o.fog):
        sys.exit(f"{o.fog} is not there; run: go build -o build/fog ./cmd/fog")
    with tempfile.TemporaryDirectory() as temporary:
        b = Bench(o, o.data or temporary)
        os.makedirs(b.folder, exist_ok=True)
        b.gen = os.path.join(temporary, "gen")
        subprocess.run(["go", "build", "-o", b.gen, "./bench/gen"], check=True, cwd=ROOT)
        for part in o.only.split(","):
            if part not in PARTS:
                sys.exit(f"--only names {part!r}; the parts are {', '.join(PARTS)}")
            getattr(b, part)()
        if o.json:
            with open(o.json, "w") as f:
                json.dump({"figures": b.figures, "checks": b.checks}, f, indent=1)
        if not all(c["reached"] for c in b.checks):
            sys.exit(1)


if __name__ == "__main__":
    main()
