# The millstream command line with the word-count processor as its example. Modules of your own go below /app, where
# `import … from 'millstream'` leads to this package:
#   FROM millstream:0.1.0
#   COPY my-topology.ts /app/processors/my-topology.ts
#   CMD ["run", "/app/processors/my-topology.ts"]

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# This image is Node 24 already: the install script that fetches it again is not needed here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY tools ./tools
COPY src ./src
RUN node tools/build.ts

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    MILLSTREAM_STATE_DIR=/var/lib/millstream \
    MILLSTREAM_HTTP_HOST=0.0.0.0
WORKDIR /app
RUN mkdir -p /var/lib/millstream && chown 1000:1000 /var/lib/millstream
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY processors ./processors
COPY --from=build /app/dist ./dist
USER 1000:1000
# Probes and metrics, where MILLSTREAM_HTTP_PORT asks for them.
EXPOSE 9400
# Threads of V8 may end a process where the processor has memory protection keys (nodejs/node#64500). Node has four threads
# for V8 on any machine; with 0 as many as it has processors, less one (docs/decisions/0036-threads-of-v8.md).
ENTRYPOINT ["node", "--no-memory-protection-keys", "--v8-pool-size=0", "/app/dist/cli/main.js"]
CMD ["run", "/app/processors/word-count/index.ts"]
