"""The proxy in front of several processes: nginx, set up as docs/operations.md says."""

import shutil

SETTINGS = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.err;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxied;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream kifabrik {{ {servers} keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 64m;
    location / {{
      proxy_pass http://kifabrik;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_read_timeout 90s;
      proxy_request_buffering off;
    }}
  }}
}}
"""


def proxy_command(folder, port, ports):
    """Write nginx's settings into a folder of its own; the command that starts it.

    Args:
        folder: Made here.
        port: Where customers and launchers come.
        ports: Of the processes that answer.
    """
    if shutil.which("nginx") is None:
        raise SystemExit("several processes need nginx in front of them; as root: scripts/install-services stores")
    folder.mkdir()
    servers = " ".join(f"server 127.0.0.1:{one};" for one in ports)
    file = folder / "nginx.conf"
    file.write_text(SETTINGS.format(folder=folder, port=port, servers=servers))
    return ["nginx", "-e", folder / "nginx.err", "-c", file]
