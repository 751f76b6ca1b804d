// The sign-in service: a certified OpenID provider, client credentials only.
import { Provider } from 'oidc-provider'

const port = Number(process.env.PEER_SIGN_IN_PORT)
const client = (id, secret) => ({
  client_id: id, client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  token_endpoint_auth_method: 'client_secret_basic',
})
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    client('kifabrik', process.env.PEER_SECRET),
    client('brief', process.env.PEER_SECRET), // its tokens last two seconds
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:kif:odata',
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource, client) => ({
        scope: 'read write', audience: 'urn:kif:odata', accessTokenFormat: 'jwt',
        accessTokenTTL: client.clientId === 'brief' ? 2 : 600, jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
})
provider.listen(port, '127.0.0.1', () => console.log('sign-in is ready'))
