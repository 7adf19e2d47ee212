# The proxy as an image: docker build --tag bulkhead .
# Connectors run as containers of an engine then, not as subprocesses: see compose.yaml and docs/deploy.md.
ARG BASE=node:26-slim

FROM $BASE AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM $BASE
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
# A named volume takes its owner from here.
RUN mkdir -p /run/guard /var/lib/bulkhead && chown 10000:10000 /run/guard /var/lib/bulkhead && chmod 0700 /run/guard /var/lib/bulkhead
USER 10000:10000
EXPOSE 7004
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7004/readyz', { signal: AbortSignal.timeout(4000) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/src/main.ts"]
CMD ["serve", "--config", "/etc/bulkhead/bulkhead.yaml", "--host", "0.0.0.0", "--log-format", "json"]
