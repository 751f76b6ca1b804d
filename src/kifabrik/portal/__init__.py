"""The pages: what the factory knows, for people, made on the server in German and English.

Invariants:
- a page asks the same use cases as the API, as the same principal: it can show nothing the API would not tell;
- pages only show. What has consequences is signed on the customer's machine; a page names the command;
- nothing a page needs comes from elsewhere, nothing in it runs: no script, no foreign resource, and no cookie
  before somebody has signed in;
- what a page says of a log is the factory's statement; the proof is the offline command on the customer's side.
"""
