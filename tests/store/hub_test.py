"""Pulls from a local server that speaks the hub's paths: its list, resolve with redirects, tokens, digests."""

import json

import pytest
from support import MIB, Server, Tool, gguf, sha256, split_part

ORG, REPO = "org", "Tiny-GGUF"


class Hub:
    """huggingface.co's part of the protocol and, on another port, the store of files that it redirects to."""

    def __init__(self):
        self.front = Server()
        self.store = Server()
        self.siblings = []

    def add(self, path, data, digest=None, n_bytes=None):
        self.store.files["/blob/" + path] = data
        self.front.redirects[f"/{ORG}/{REPO}/resolve/main/{path}"] = self.store.url + "/blob/" + path
        lfs = {"sha256": digest or sha256(data), "size": n_bytes or len(data), "pointerSize": 130}
        self.siblings.append({"rfilename": path, "size": lfs["size"], "lfs": lfs})
        self.publish()

    def publish(self):
        answer = {"id": f"{ORG}/{REPO}", "cardData": {"license": "apache-2.0"},
                  "siblings": [{"rfilename": "README.md", "size": 5}, *self.siblings]}
        self.front.json[f"/api/models/{ORG}/{REPO}"] = json.dumps(answer).encode()

    def close(self):
        self.front.close()
        self.store.close()


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def tool(tmp_path, hub):
    tool = Tool(tmp_path)
    tool.env["HF_ENDPOINT"] = hub.front.url
    return tool


def test_pull(tool, hub):
    q4, q8 = gguf(MIB, 1), gguf(2 * MIB, 2)
    hub.add("tiny-Q4_K_M.gguf", q4)
    hub.add("tiny-q8_0.gguf", q8)
    hub.add("mmproj-tiny-Q4_K_M.gguf", gguf(10, 3))
    name = f"hf.co/{ORG}/{REPO}"
    assert tool.ok("pull", name + ":Q8_0").startswith(f"{name}:Q8_0 {len(q8)} {sha256(q8)}")
    assert tool.content(name + ":Q8_0") == q8
    tool.ok("pull", name)  # Q4_K_M where nothing is said
    assert tool.content(name + ":latest") == q4
    assert tool.ok("show", name + ":Q8_0").endswith("apache-2.0")
    assert hub.front.log[0][0] == f"/api/models/{ORG}/{REPO}?blobs=true"
    err = tool.fails("pull", name + ":Q2_K")
    assert err.startswith("not_found") and "Q4_K_M, Q8_0" in err


def test_split_model(tool, hub):
    parts = [split_part(i, 3, i) for i in range(3)]
    for i, part in enumerate(parts):
        hub.add(f"Q4_0/tiny-Q4_0-{i + 1:05}-of-00003.gguf", part)
    tool.ok("pull", f"hf.co/{ORG}/{REPO}:Q4_0")
    assert tool.content(f"hf.co/{ORG}/{REPO}:Q4_0") == parts[0]
    assert tool.ok("show", f"hf.co/{ORG}/{REPO}:Q4_0").split()[3] == "3000"  # values of all three
    assert len(tool.blobs()) == 3
    tool.ok("rm", f"hf.co/{ORG}/{REPO}:Q4_0")
    assert tool.blobs() == [] and list((tool.data / "sets").iterdir()) == []


def test_several_files_of_one_quantization(tool, hub):
    plain, other = gguf(100, 1), gguf(100, 2)
    hub.add("tiny-Q4_0.gguf", plain)
    hub.add("tiny-UD-Q4_0.gguf", other)
    err = tool.fails("pull", f"hf.co/{ORG}/{REPO}:Q4_0")
    assert '"tiny-Q4_0.gguf" and "tiny-UD-Q4_0.gguf"' in err
    tool.ok("pull", f"hf.co/{ORG}/{REPO}:tiny-UD-Q4_0.gguf")
    assert tool.content(f"hf.co/{ORG}/{REPO}:tiny-UD-Q4_0.gguf") == other


def test_token_goes_to_the_hub_alone(tool, hub):
    hub.add("tiny-Q4_K_M.gguf", gguf(1000, 1))
    hub.front.token = "hf_secret"
    err = tool.fails("pull", f"hf.co/{ORG}/{REPO}")
    assert err.startswith("unauthenticated") and "HF_TOKEN" in err
    tool.env["HF_TOKEN"] = "hf_wrong"
    err = tool.fails("pull", f"hf.co/{ORG}/{REPO}")
    assert err.startswith("unauthenticated") and "hf_wrong" not in err
    tool.env["HF_TOKEN"] = "hf_secret"
    tool.ok("pull", f"hf.co/{ORG}/{REPO}")
    assert all("Authorization" in headers for _, headers in hub.front.log[-2:])
    assert hub.store.log and not any("Authorization" in headers for _, headers in hub.store.log)


def test_offline_switch(tool, hub):
    hub.add("tiny-Q4_K_M.gguf", gguf(1000, 1))
    for value in ("1", "true", "ON"):
        tool.env["HF_HUB_OFFLINE"] = value
        assert "HF_HUB_OFFLINE" in tool.fails("pull", f"hf.co/{ORG}/{REPO}")
    assert hub.front.log == []
    tool.env["HF_HUB_OFFLINE"] = "0"
    tool.ok("pull", f"hf.co/{ORG}/{REPO}")
    tool.env["HF_HUB_OFFLINE"] = "1"
    tool.ok("pull", f"hf.co/{ORG}/{REPO}")  # here already


def test_wrong_digest(tool, hub):
    hub.add("tiny-Q4_K_M.gguf", gguf(1000, 1), digest="0" * 64)
    assert tool.fails("pull", f"hf.co/{ORG}/{REPO}").startswith("data_loss")
    assert tool.ok("list") == "" and tool.blobs() == [] and tool.parts() == []


@pytest.mark.parametrize("change", [-100, 100])
def test_other_length_than_listed(tool, hub, change):
    data = gguf(1000, 1)
    hub.add("tiny-Q4_K_M.gguf", data, n_bytes=len(data) + change)
    err = tool.fails("pull", f"hf.co/{ORG}/{REPO}")
    assert err.startswith("data_loss") and str(len(data) + change) in err
    assert tool.ok("list") == "" and tool.blobs() == []


def test_resume_through_the_redirect(tool, hub):
    data = gguf(3 * MIB, 1)
    hub.add("tiny-Q4_K_M.gguf", data)
    hub.store.break_after = [MIB, 0, 0, 0, 0]
    tool.fails("pull", f"hf.co/{ORG}/{REPO}")
    hub.store.break_after = []
    hub.store.log.clear()
    tool.ok("pull", f"hf.co/{ORG}/{REPO}")
    assert hub.store.ranges() == [f"bytes={MIB}-"]
    assert tool.content(f"hf.co/{ORG}/{REPO}") == data


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b"{}", b'{"siblings":[{}]}', b'{"siblings":{"a":1}}',
                                    b"[" * 100000, b'{"siblings":[{"rfilename":"a-Q4_0.gguf","size":"x"}]}'])
def test_odd_answers(tool, hub, answer):
    hub.front.json[f"/api/models/{ORG}/{REPO}"] = answer
    tool.fails("pull", f"hf.co/{ORG}/{REPO}")
    assert tool.ok("list") == ""


def test_repository_without_models(tool, hub):
    hub.publish()
    assert "GGUF" in tool.fails("pull", f"hf.co/{ORG}/{REPO}")
    assert tool.fails("pull", "hf.co/org/absent").startswith("not_found")


def test_a_listed_path_is_no_way_out(tool, hub, tmp_path):
    for i in range(2):
        hub.add(f"../../../x-Q4_0-0000{i + 1}-of-00002.gguf", split_part(i, 2, i))
    tool.run("pull", f"hf.co/{ORG}/{REPO}:Q4_0")
    outside = [p for p in tmp_path.iterdir() if p.name != "lamina"]
    assert outside == []
