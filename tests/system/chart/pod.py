"""A pod of a rendered manifest, run here: command, variables, files, user, capabilities and read-only root are those of the manifest and of the image.

What is not as in a cluster: the network is this machine's, and seccomp profile, limits of memory and service account are left out."""
import base64
import json
import os
import re

import harness

IMAGE = os.path.join(harness.PROJECT, ".build", "image")
READ_ONLY = """set -eu
root=$1; image=$2; binary=$3; shift 3
mount --make-rprivate /
if [ "$image" = none ]; then                       # this machine's root with the binary in it
    mount --rbind / "$root"
    mount -t tmpfs tmpfs "$root/usr/local"
    mkdir "$root/usr/local/bin"
    cp "$binary" "$root/usr/local/bin/jobhook"
else
    mount --bind "$image" "$root"
    mount --rbind /dev "$root/dev"
    mount -t proc proc "$root/proc"
fi
mount -t tmpfs tmpfs "$root/mnt"                   # a copy of /etc with the folders to mount on
cp -a "$root/etc" "$root/mnt/"
[ "$image" = none ] || cp -L /etc/resolv.conf /etc/hosts "$root/mnt/etc/"
mount --bind "$root/mnt/etc" "$root/etc"
while [ "$1" != -- ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
    shift 2
done
shift
[ "$READ_ONLY_ROOT" = False ] || { mount -o remount,bind,ro "$root/etc"; mount -o remount,bind,ro "$root"; }
date "+started %s%N"
exec chroot "$root" /usr/bin/env -u READ_ONLY_ROOT "$@"
"""


def image_config():
    """Entry point, user and labels: of the image that tests/system/image.sh built, else as the Dockerfile says."""
    path = os.path.join(IMAGE, "config.json")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            return json.load(file)["config"]
    with open(os.path.join(harness.PROJECT, "Dockerfile"), encoding="utf-8") as file:
        text = file.read()
    return {"Entrypoint": json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE).group(1)), "User": re.search(r"^USER (.*)$", text, re.MULTILINE).group(1),
            "Cmd": json.loads(re.search(r"^CMD (.*)$", text, re.MULTILINE).group(1)), "Env": []}


class Confined(harness.Jobhook):
    """A process in a root of its own; what it is given is all that it has."""

    def __init__(self, folder, name, arguments, environment, volumes, user, read_only=True):
        harness.Process.__init__(self, folder, name)
        self.arguments, self.variables, self.volumes, self.user, self.read_only = arguments, environment, volumes, user, read_only
        self.http = None

    def command_line(self):
        root = os.path.join(self.folder, self.name + ".root")
        os.makedirs(root, exist_ok=True)
        image = os.path.join(IMAGE, "root")
        config = image_config()
        mounts = [part for source, target in self.volumes for part in (source, target)]
        user, group = self.user.split(":")
        return ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", root, image if os.path.isdir(image) else "none", harness.BINARY, *mounts, "--",
                "/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
                "--", *config["Entrypoint"], *self.arguments]

    def environment(self):
        path = next((entry[5:] for entry in image_config().get("Env") or [] if entry.startswith("PATH=")), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        return {"PATH": path, "READ_ONLY_ROOT": str(self.read_only), **self.variables}

    def start(self, ready=True):
        self.spawn(self.command_line(), self.environment())
        if ready:
            self.wait_ready()
        return self

    def finish(self, seconds=60):
        """Runs to its end: exit status and output."""
        self.start(ready=False)
        return self.process.wait(seconds), self.log()


class Pod(Confined):
    """The first container of a pod specification; `found` has the ConfigMaps and Secrets, {(kind, name): object}."""

    def __init__(self, folder, name, spec, found):
        (self.container,) = spec["containers"]
        context = {**spec["securityContext"], **self.container["securityContext"]}
        assert context["capabilities"] == {"drop": ["ALL"]} and context["allowPrivilegeEscalation"] is False
        self.found, self.spec = found, spec
        self.directories = {}
        for volume in spec.get("volumes", []):
            self.directories[volume["name"]] = os.path.join(folder, f"{name}.volume.{volume['name']}")
            self.write_volume(volume, context)
        volumes = [(self.directories[mount["name"]], mount["mountPath"]) for mount in self.container.get("volumeMounts", [])]
        assert "command" not in self.container
        super().__init__(folder, name, self.container["args"], self.variables_of(self.container), volumes, f"{context['runAsUser']}:{context['runAsGroup']}",
                         context["readOnlyRootFilesystem"])
        ports = {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}
        if "readinessProbe" in self.container:
            self.http = f"127.0.0.1:{ports[self.container['readinessProbe']['httpGet']['port']]}"

    def variables_of(self, container):
        variables = {}
        for source in container.get("envFrom", []):
            variables.update(self.found[("ConfigMap", source["configMapRef"]["name"])]["data"])
        variables.update({entry["name"]: entry["value"] for entry in container.get("env", [])})
        return variables

    def contents(self, source):
        """(path, bytes) of a projected source."""
        (kind, reference), = source.items()
        kind = {"secret": "Secret", "configMap": "ConfigMap"}[kind]
        data = self.found[(kind, reference["name"])]["data"]
        items = reference.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            value = data[item["key"]]
            yield item["path"], base64.b64decode(value) if kind == "Secret" else value.encode()

    def write_volume(self, volume, context):
        """As kubelet does: a folder of the day, a link ..data that is swapped in one step, and links to the files behind it."""
        folder, projected = self.directories[volume["name"]], volume["projected"]
        os.makedirs(folder, exist_ok=True)
        fresh = os.path.join(folder, f"..{len(os.listdir(folder))}")
        os.makedirs(fresh)
        for source in projected["sources"]:
            for path, value in self.contents(source):
                with open(os.path.join(fresh, path), "wb") as file:
                    file.write(value)
                os.chown(os.path.join(fresh, path), 0, context.get("fsGroup", 0))
                os.chmod(os.path.join(fresh, path), projected["defaultMode"])
                if not os.path.lexists(os.path.join(folder, path)):
                    os.symlink("..data/" + path, os.path.join(folder, path))
        os.symlink(os.path.basename(fresh), os.path.join(folder, "..next"))
        os.rename(os.path.join(folder, "..next"), os.path.join(folder, "..data"))

    def rotate(self):
        """Writes the volumes anew from `found`."""
        for volume in self.spec.get("volumes", []):
            self.write_volume(volume, {**self.spec["securityContext"], **self.container["securityContext"]})

    def probe(self, name):
        asked = self.container[name]["httpGet"]
        assert {port["name"] for port in self.container["ports"]} >= {asked["port"]}
        return self.get(asked["path"])[0]

def size_of_image():
    path = os.path.join(IMAGE, "size")
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            return int(file.read())
    return None
