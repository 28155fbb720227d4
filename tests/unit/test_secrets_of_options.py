"""No secret of an option is put on record, printed or sent to anybody else."""

import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from probes.dashboard import Dashboard, split_user, token_from_environment
from scalelag.cluster.urls import check_url, hide_credentials
from scalelag.errors import TargetError, UsageError
from scalelag.options.run_options import run_options
from scalelag.plugin.parent import fit_for_record
from scalelag.plugin.worker.request_errors import WrongAnswerError, error_kind
from scalelag.record.secrets import hide_argument, hide_body_secrets, hide_url_secrets


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Authorization: Bearer ${TOKEN}", "Authorization: (not recorded)${TOKEN}"),
        ("X-Key-Id: s3cret ${REGION} s3cret", "X-Key-Id: (not recorded)${REGION}(not recorded)"),
        ("X-A: ${A}", "X-A: ${A}"),
        ("X-A: s3cret", "X-A: (not recorded)"),
    ],
)
@pytest.mark.parametrize("option", ["header", "dashboard_header"])
def test_only_the_variables_of_a_header_are_on_record(option, header, shown):
    public = run_options({option: [header]}).public()

    assert public[option] == [shown]
    assert "s3cret" not in str(public)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/x?api_key=s3cret&n=1", "/x?api_key=(not recorded)&n=1"),
        ("/x?n=1&access_token=s3cret", "/x?n=1&access_token=(not recorded)"),
        ("/x?n=1", "/x?n=1"),
        ("/x?sig=s3cret", "/x?sig=(not recorded)"),
        ("/x?jwt=s3cret&design=1", "/x?jwt=(not recorded)&design=1"),
        ("/x?p%61ssword=s3cret", "/x?p%61ssword=(not recorded)"),
        ("/x?key={{ id }}", "/x?key={{ id }}"),
        ("/x?key={{ id }}s3cret", "/x?key=(not recorded)"),
        ("/token=1", "/token=1"),
        ("/x?n=1;token=s3cret;s3cret&m=2", "/x?n=1;token=(not recorded)&m=2"),
        ("/x;jsessionid=s3cret?n=1", "/x;jsessionid=(not recorded)"),
        ("/x?code=s3cret&state=a", "/x?code=(not recorded)&state=a"),
        ("/x?code=python", "/x?code=python"),
        ("/x?u=http://me:s3cret@h/y", "/x?u=http://h/y"),
        ("/x?u=http://h/?token=s3cret&n=1", "/x?u=http://h/?token=(not recorded)&n=1"),
        ("/x?u=http%3A%2F%2Fh%2F%3Ftoken%3Ds3cret", "/x?u=(not recorded)"),
        ("/x?u=http%253A%252F%252Fh%252F%253Ftoken%253Ds3cret", "/x?u=(not recorded)"),
        ("/x/http%3A%2F%2Fme%3As3cret%40h%2Fy", "/x/http%3A%2F%2Fh%2Fy"),
        ("/x?a=%7B%22token%22%3A%22s3cret%22%7D&n=1", "/x?a=(not recorded)&n=1"),
        ("/x?mail=a@b&u=http://h/a@b", "/x?mail=a@b&u=http://h/a@b"),
    ],
)
def test_a_secret_in_a_query_is_sent_and_not_put_on_record(path, shown, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("id\n7\n", encoding="utf-8")
    options = run_options({"path": path} | ({"data": str(rows)} if "{{" in path else {}))

    assert hide_url_secrets(path) == shown
    assert (options.request.path, options.request.name) == (path, shown)
    assert options.public()["path"] == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/x?session_id=s3cret#a", "/x?session_id=(not recorded)#a"),
        ("/x#access_token=s3cret&n=1", "/x#access_token=(not recorded)&n=1"),
    ],
)
def test_a_secret_in_or_before_a_fragment_is_hidden(url, shown):
    assert hide_url_secrets(url) == shown


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apikey", "apiKey", "x-api-key", "key", "AWSAccessKeyId", "Key-Pair-Id"),
        *(
            "token",
            "access_token",
            "accessToken",
            "hf_token",
            "user[token]",
            "X-Amz-Security-Token",
        ),
        *("sig", "signature", "X-Amz-Signature", "X-Goog-Signature", "X-Amz-Credential", "hmac"),
        *(
            "password",
            "Password2",
            "passwd",
            "pwd",
            "pass",
            "passphrase",
            "client_secret",
            "secret",
        ),
        *("auth", "oauth_nonce", "authorization", "bearer", "jwt", "id_token", "cookie", "otp"),
        *("session", "sessionid", "PHPSESSID", "sid", "code_verifier", "client_assertion"),
    ],
)
def test_what_is_named_like_a_secret_is_hidden_in_queries_and_arguments(name):
    assert hide_url_secrets(f"/x?{name}=s3cret") == f"/x?{name}=(not recorded)"
    assert hide_argument(f"{name}=s3cret") == f"{name}=(not recorded)"


@pytest.mark.parametrize(
    "name",
    [
        *("max_tokens", "max_token", "tokens", "tokenizer", "stop_token", "token_type", "n"),
        *("keyword", "keyboard", "monkey", "author", "authority", "design", "assign", "passage"),
        *("code", "state", "sessions", "max_sessions", "X-Amz-Expires", "secretary", "bypass"),
    ],
)
def test_ordinary_parameters_and_arguments_stay(name):
    assert hide_url_secrets(f"/x?{name}=7") == f"/x?{name}=7"
    assert hide_argument(f"{name}=7") == f"{name}=7"


@pytest.mark.parametrize(
    "text", ["?a=" * 3000, "/x?a=" + "%25" * 3000 + "3D", "/x?" + "a=1;" * 3000]
)
def test_no_path_is_too_deep_to_look_for_secrets(text):
    assert hide_url_secrets(text) == text


@given(st.text("?&;#=a {}%3D@:/token(not recorded)", max_size=40))
def test_what_was_hidden_once_stays_as_it_is(text):
    once = hide_url_secrets(text)

    assert hide_url_secrets(once) == once


PASSWORDS = ("s3cret", "s3%40cret", "s3@cret", "s3:cret@x")


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_of_a_url_is_shown_nowhere(password):
    url = f"http://me:{password}@127.0.0.1:8265"
    dashboard = Dashboard(url, lambda: 0.0)

    assert dashboard.url == "http://127.0.0.1:8265"
    assert hide_credentials(f"GET {url}/api: refused") == "GET http://127.0.0.1:8265/api: refused"
    assert fit_for_record(f"{url}/x") == "http://127.0.0.1:8265/x"
    assert run_options({"dashboard": url}).public()["dashboard"] == "http://127.0.0.1:8265"
    assert split_user(url)[1] is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://me:s3/cret@127.0.0.1:8265",
        "http://me:s3#cret@127.0.0.1:8265",
        "http://me:s3 cret@127.0.0.1:8265",
        "me:s3cret@127.0.0.1:8265",
        "ftp://me:s3@cret@127.0.0.1:8265",
    ],
)
def test_a_password_in_what_is_no_url_is_refused_without_showing_it(url):
    with pytest.raises(UsageError, match=r"is not a URL; .*%2F for /") as caught:
        check_url(url)

    assert "cret" not in str(caught.value)
    assert "s3" not in str(caught.value)


def test_a_header_whose_variable_has_a_line_break_is_refused_before_the_load():
    options = run_options({"header": ["X-A: ${A}"]})

    assert options.request.headers_with_secrets({"A": "x\n"}) == {"X-A": "x"}
    with pytest.raises(UsageError, match="line break"):
        options.request.headers_with_secrets({"A": "x\r\nY: z"})


@pytest.mark.parametrize("path", ["/a b", "/a\nb", "/a\tb"])
def test_a_path_that_cannot_be_sent_is_refused_before_the_load(path):
    with pytest.raises(UsageError, match=r"--path(.|\n)*no spaces"):
        run_options({"path": path})


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"api_key": "s3cret", "n": 1}', '{"api_key": "(not recorded)", "n": 1}'),
        ('{"a": {"Password":"s3\\"cret"}}', '{"a": {"Password":"(not recorded)"}}'),
        ('{"max_tokens": 5, "stop_token": "a"}', '{"max_tokens": 5, "stop_token": "a"}'),
        ('{"token": "s3cret"}', '{"token": "(not recorded)"}'),
        ('{"secret": {{ secret | tojson }}}', '{"secret": {{ secret | tojson }}}'),
        ('{"token": "{{ id }}s3cret"}', '{"token": "(not recorded)"}'),
        ('{"key": {{ id }}s3cret, "n": 1}', '{"key": "(not recorded)", "n": 1}'),
        ('{"hf_token": "s3cret"}', '{"hf_token": "(not recorded)"}'),
        ('{"session" : "s3cret"}', '{"session" : "(not recorded)"}'),
        ('{"pass\\u0077ord": "s3cret"}', '{"pass\\u0077ord": "(not recorded)"}'),
        ('{"otp": 123456, "n": [1, 2]}', '{"otp": "(not recorded)", "n": [1, 2]}'),
        ('{"api_keys": ["s3cret", "s"], "n": 1}', '{"api_keys": "(not recorded)", "n": 1}'),
        ('{"auth": {"a": {"b": "s3cret"}}}', '{"auth": "(not recorded)"}'),
        ('{"key": true, "auth": null, "pwd": ""}', '{"key": true, "auth": null, "pwd": ""}'),
        ('{"u": "http://me:s3cret@h/", "n": 1}', '{"u": "http://h/", "n": 1}'),
        ('{"u": "http://h/?sig=s3cret"}', '{"u": "http://h/?sig=(not recorded)"}'),
        ('{"a": "{\\"key\\": \\"s3cret\\"}"}', '{"a": "{\\"key\\": \\"(not recorded)\\"}"}'),
    ],
)
def test_a_secret_in_a_body_is_sent_and_not_put_on_record(body, shown):
    options = run_options({"json_body": body, "method": "POST"}) if "{{" not in body else None

    assert hide_body_secrets(body) == shown
    if options is not None:
        assert options.public()["json_body"] == shown
        assert options.raw["json_body"] == body


@given(st.text("""ab?&=;#%"'{}[]:,\\\n /@""") | st.text())
def test_any_text_at_all_can_be_searched_for_secrets(text):
    for hide in (hide_url_secrets, hide_body_secrets):
        once = hide(text)
        assert hide(once) == once


@given(st.recursive(st.text() | st.integers(), st.lists, max_leaves=5))
def test_whatever_the_value_of_a_secret_field_is_the_rest_of_the_body_stays(value):
    hidden = hide_body_secrets(json.dumps({"a": 1, "password": value, "b": ["x"]}))

    shown = "" if value == "" else "(not recorded)"
    assert json.loads(hidden) == {"a": 1, "password": shown, "b": ["x"]}


@pytest.mark.parametrize(
    "given",
    [
        {"path": "/x?key=s3cret y"},
        {"path": "http://h/x?key=s3cret"},
        {"header": ["Authorization Bearer s3cret"]},
        {"header": ["Authorization Bearer s3cret: a"]},
        {"json_body": '{"password": "s3cret"'},
    ],
)
def test_a_slip_is_told_without_the_secret_beside_it(given):
    with pytest.raises(UsageError) as refused:
        run_options(given)

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("kind", [ValueError, WrongAnswerError])
def test_an_error_text_of_any_kind_and_length_is_recorded_without_secrets(kind):
    text = "no label at http://me:s3cret@h/x?key=s3cret " + "x" * 5_000_000

    told = error_kind(kind(text))

    assert "no label at http://h/x?key=(not recorded) x" in told
    assert len(told) <= 200


@pytest.mark.parametrize("token", ["s3cret\nother", "s3cret\x00", "s3\x1bcret"])
def test_a_token_that_no_header_can_have_is_refused_without_showing_it(token, tmp_path):
    file = tmp_path / "token"
    file.write_text(token)

    for environ in ({"RAY_AUTH_TOKEN": token}, {"RAY_AUTH_TOKEN_PATH": str(file)}):
        with pytest.raises(TargetError, match="more than a token") as refused:
            token_from_environment(environ)
        assert "cret" not in str(refused.value)


@pytest.mark.parametrize("option", ["dashboard", "prometheus"])
@pytest.mark.parametrize("url", ["http://h:8265?token=s3cret", "http://h:8265/#s3cret"])
def test_a_secret_behind_a_url_is_refused_without_showing_it(option, url):
    with pytest.raises(UsageError, match="leave it out") as refused:
        run_options({option: url})

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("header value: 'Bearer s3cret-abc\\n'", "header value: 'Bearer (not recorded)\\n'"),
        ("{'Authorization': 'Basic bWU6czNjcmV0=='}", "{'Authorization': 'Basic (not recorded)'}"),
        ("authorization: token ghp_s3cretABC, x", "authorization: token (not recorded), x"),
        ("http:\\/\\/me:s3cret@host\\/x", "http:\\/\\/host\\/x"),
        ("?pw=s3cret", "?pw=(not recorded)"),
        ("a basic understanding of the bearer certificate", None),
        ("first token after 327 ms, token 12 of 40", None),
    ],
)
def test_headers_that_a_client_quotes_and_escaped_urls_are_shown_without_secrets(text, shown):
    assert hide_url_secrets(text) == (shown or text)
    assert hide_url_secrets(hide_url_secrets(text)) == hide_url_secrets(text)


def test_the_error_of_a_header_that_cannot_be_sent_is_recorded_without_its_value():
    with pytest.raises(requests.exceptions.InvalidHeader) as refused:
        requests.get(
            "http://127.0.0.1:1", headers={"Authorization": "Bearer s3cret-1\n"}, timeout=1
        )

    assert error_kind(refused.value).startswith("InvalidHeader: ")
    assert "s3cret" not in error_kind(refused.value)
