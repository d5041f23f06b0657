"""As much of a Kubernetes API server as `helm install --dry-run=server` asks for: discovery, and objects by name. Nothing is ever created."""
import http.server
import json
import os
import re
import threading

import yaml

RESOURCES = {
    "v1": {"namespaces": "Namespace", "secrets": "Secret", "configmaps": "ConfigMap", "services": "Service", "serviceaccounts": "ServiceAccount", "pods": "Pod"},
    "apps/v1": {"deployments": "Deployment"}, "batch/v1": {"jobs": "Job"}, "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy"}, "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
}


class Cluster:
    """objects: {(plural, name): object} in one namespace. As a context manager; `kubeconfig` is the path for KUBECONFIG."""

    def __init__(self, folder, objects):
        self.objects, self.kubeconfig = objects, os.path.join(folder, "kubeconfig")
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                status, answer = cluster.answer(self.path.split("?")[0])
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def answer(self, path):
        if path == "/version":
            return 200, {"major": "1", "minor": "31", "gitVersion": "v1.31.0"}
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            groups = [name.split("/") for name in RESOURCES if "/" in name]
            return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                 "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version}} for group, version in groups]}
        version = re.sub(r"^/apis?/", "", path)
        if version in RESOURCES:
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": [
                {"name": plural, "singularName": "", "namespaced": plural != "namespaces", "kind": kind, "verbs": ["get", "list", "create"]}
                for plural, kind in RESOURCES[version].items()]}
        named = re.match(r".*/namespaces/[^/]+/([^/]+)/([^/]+)$", path)
        if named and named.groups() in self.objects:
            return 200, self.objects[named.groups()]
        if re.match(r".*/namespaces/[^/]+/secrets$", path):
            return 200, {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": path + " not found"}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        with open(self.kubeconfig, "w", encoding="utf-8") as file:
            yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "test", "users": [{"name": "nobody", "user": {}}],
                            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{self.server.server_address[1]}"}}],
                            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "nobody"}}]}, file)
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def secret(name, **data):
    """An object for Cluster; values in base64."""
    return {("secrets", name): {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}}


def namespace():
    """What every namespace has."""
    return {("serviceaccounts", "default"): {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}}
